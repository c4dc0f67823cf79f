package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"headwater/internal/app"
	"headwater/internal/config"
)

func newServe(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `Run a server until it is told to stop.

Every flag can be set in the environment as well, as HEADWATER_ and the flag's
name in capitals (HEADWATER_LOG_LEVEL for --log-level), and by its name in a YAML
file. A flag wins over the environment, that over the file, and that over the
default. See headwater config print for what is in force.

The root user's key pair comes from HEADWATER_ROOT_ACCESS_KEY and
HEADWATER_ROOT_SECRET_KEY. When these are not set, one is generated at the first
start, printed once and kept in the data directory.

One line on standard output tells that the server is ready and where. The log
goes to standard error.

SIGTERM and SIGINT end the server: it takes no new requests, gives those that are
under way the drain timeout and exits with code 0. A second signal ends it at
once. Exit code 1 is a failure, 2 a wrong command line or configuration.`,
		Example: `  # For this machine only, with the data below the current directory
  headwater serve

  # With TLS, for everyone, under a domain of its own
  headwater serve --listen :443 --tls-cert cert.pem --tls-key key.pem --domain media.example.com

  # Behind a proxy on the same host that speaks TLS
  headwater serve --trusted-proxies 127.0.0.1

  # For a test suite: nothing on disk, a free port, and the limits of the AWS service
  headwater serve --engine memory --listen 127.0.0.1:0 --quotas aws`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return serve(cmd.Context(), p, flags)
	}
	return cmd
}

func serve(ctx context.Context, p Process, flags map[string]string) error {
	loaded, err := config.Load(config.Input{Flags: flags, Env: p.Env})
	if err != nil {
		return err
	}
	logger := newLogger(p.Stderr, &loaded.Config)
	for _, name := range loaded.UnknownEnv {
		logger.Warn("an environment variable looks like a setting and is none", "variable", name)
	}
	a, err := app.Open(loaded.Config, app.Process{Log: logger, Stdout: p.Stdout, Version: p.Version})
	if err != nil {
		return withHint(err)
	}
	announce(p.Stdout, a, &loaded.Config)
	return errors.Join(a.Run(ctx), a.Close())
}

func newLogger(w io.Writer, c *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// announce tells that the server is ready, all in one write.
func announce(w io.Writer, a *app.App, c *config.Config) {
	data := "data " + c.Data
	if c.Engine == config.EngineMemory {
		data = "data in memory only"
	}
	ready := fmt.Sprintf("headwater: ready at %s (region %s, account %s, %s)\n", a.URL(), c.Region, c.Account, data)
	if a.RootKeyGenerated() {
		ready += showRootKey(a, c)
	}
	io.WriteString(w, ready)
}

// showRootKey tells the key pair that this run generated, which never shows
// again.
func showRootKey(a *app.App, c *config.Config) string {
	kept := "in " + a.RootKeyFile()
	if a.RootKeyFile() == "" {
		kept = "nowhere"
	}
	return "headwater: root credentials were generated, and are shown only this once; they are kept " + kept + "\n" + exports(a, c) + "\n"
}

// exports returns the shell commands that give AWS tools the root credentials.
func exports(a *app.App, c *config.Config) string {
	key := a.RootKey()
	return strings.Join([]string{
		"  export AWS_ACCESS_KEY_ID=" + key.ID,
		"  export AWS_SECRET_ACCESS_KEY=" + shellQuote(key.Secret),
		"  export AWS_DEFAULT_REGION=" + c.Region,
	}, "\n")
}

// shellQuote quotes text for a POSIX shell (XCU, section 2.2.2).
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
