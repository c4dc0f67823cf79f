package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"headwater/internal/app"
	"headwater/internal/config"
	"headwater/internal/demo"
)

const (
	demoContainer = "demo"
	demoFolder    = "live"
	demoWindow    = 6 // segments in a playlist
)

func newDemo(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a server with a live channel to look at",
		Long: `Run a server, make a container in it that anyone may read, and publish a live
channel there that is built into this program: a test picture with a clock. What
is printed is the address to watch it at, and commands to try with it.

The data goes to a temporary directory that is deleted at the end, unless --data
names another. Environment and configuration files are not looked at. Ctrl-C ends
the demo.`,
		Example: `  headwater demo

  # On a free port, when 8484 is taken
  headwater demo --listen 127.0.0.1:0

  # Keep what was stored
  headwater demo --data ./demo-data`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addSettings(cmd, "listen", "data")
	data := cmd.Flags().Lookup("data")
	data.Usage, data.DefValue = "directory that holds all there is to keep, instead of a temporary one", ""
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return runDemo(cmd.Context(), p, flags)
	}
	return cmd
}

// runDemo runs the demo with its data where the flags say, or for a while only.
func runDemo(ctx context.Context, p Process, flags map[string]string) (err error) {
	if flags["data"] == "" {
		dir, err := os.MkdirTemp("", "headwater-demo-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		flags["data"] = dir
	}
	loaded, err := config.Load(config.Input{Flags: flags})
	if err != nil {
		return err
	}
	loaded.LogLevel = slog.LevelWarn // what is printed should stay in sight
	loaded.DrainTimeout = time.Second
	logger := newLogger(p.Stderr, &loaded.Config)
	a, err := app.Open(loaded.Config, app.Process{Log: logger, Stdout: p.Stdout, Version: p.Version})
	if err != nil {
		return withHint(err)
	}
	d := &demoRun{stdout: p.Stdout, env: p.Env, app: a, url: a.URL(), config: &loaded.Config, logger: logger}
	return errors.Join(runWith(ctx, a, d.onAir), a.Close())
}

// demoRun is a demo under way.
type demoRun struct {
	stdout io.Writer
	env    []string
	app    *app.App
	url    string
	config *config.Config
	logger *slog.Logger
}

// runWith runs a until use returns, and use until a fails or ctx ends.
func runWith(ctx context.Context, a *app.App, use func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	serving := make(chan error, 1)
	go func() {
		serving <- a.Run(ctx)
		cancel()
	}()
	err := use(ctx)
	if ctx.Err() != nil {
		err = nil // it was told to end, and ended
	}
	cancel()
	return errors.Join(err, <-serving)
}

// onAir makes the container, publishes the channel there until ctx ends, and
// tells about it once there is something to see.
func (d *demoRun) onAir(ctx context.Context) error {
	channel, err := demo.Bundled()
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	key := d.app.RootKey()
	control := &controlClient{url: d.url, id: key.ID, secret: key.Secret, http: client}
	made, err := control.publicContainer(ctx, demoContainer)
	if err != nil {
		return fmt.Errorf("make the container %s: %w", demoContainer, err)
	}
	publisher := &demo.Publisher{
		Channel: channel,
		Store:   &demo.Client{Endpoint: made.Endpoint, AccessKey: key.ID, Secret: key.Secret, HTTP: client},
		Folder:  demoFolder,
		Window:  demoWindow,
		Now:     time.Now,
		Log:     d.logger,
	}
	if err := publisher.CatchUp(ctx); err != nil {
		return fmt.Errorf("publish the channel: %w", err)
	}
	if err := d.show(made.Endpoint, publisher.Playlist()); err != nil {
		return err
	}
	publisher.Run(ctx)
	return nil
}
