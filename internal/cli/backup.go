package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"headwater/internal/backup"
)

func newBackup(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup DIR|s3://BUCKET/PREFIX",
		Short: "Copy all that a running server stores",
		Long: `Copy all that a running server stores, as it is at one moment, to a directory that
is new or empty, or below a prefix of a bucket that has nothing there. The server
goes on meanwhile. Everything that was acknowledged before the command began is in
the backup. "headwater restore" brings it back.

In a directory on the file system of the server's data, files are hard links, which
take neither time nor room but are no help when that disk fails. Everywhere else
they are copies, over HTTP.

Not in a backup are logs, the configuration, and the bytes of archived objects, which
are in the cold tier. The generated root key pair is, when --include-credentials is
given: then whoever reads the backup is root.

Credentials and the region are found as the AWS CLI finds them, those for a bucket
too; --s3-profile and --s3-region are for a bucket that needs others.`,
		Example: `  headwater backup /mnt/backup/monday

  # From another machine, to a bucket
  headwater backup --endpoint https://origin.example.com --s3-profile backup s3://my-backups/monday

  # To an S3-compatible store
  headwater backup --s3-endpoint https://minio.example.com --s3-profile minio s3://my-backups/monday`,
		ValidArgsFunction: directoryFirst,
	}
	b := &backingUp{Process: p}
	f := cmd.Flags()
	f.SortFlags = false
	b.addEndpoint(f)
	f.BoolVar(&b.credentials, "include-credentials", false, "put the generated root key pair into the backup too")
	addPlace(f, &b.options)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef(cmd, "backup needs one place: a directory or s3://BUCKET/PREFIX")
		}
		if err := b.checkEndpoint(); err != nil {
			return usagef(cmd, "%s", err)
		}
		return b.run(cmd.Context(), args[0])
	}
	return cmd
}

func directoryFirst(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// addPlace gives a verb the flags for a backup in a bucket.
func addPlace(f *pflag.FlagSet, o *backup.Options) {
	f.StringVar(&o.Endpoint, "s3-endpoint", "", "`URL` of an S3-compatible store, instead of AWS")
	f.StringVar(&o.Region, "s3-region", "", "`REGION` of the bucket, when it is another one")
	f.StringVar(&o.Profile, "s3-profile", "", "`NAME` of the profile of ~/.aws with the credentials for the bucket")
}

const (
	bodySilence   = time.Minute      // after which a download is lost
	removeTimeout = 10 * time.Second // for the server to remove its copy
)

// backingUp is a backup being made.
type backingUp struct {
	Process
	client
	credentials bool
	options     backup.Options
}

// checkpoint is a server's answer to one that was made.
type checkpoint struct {
	ID    string
	Path  string
	Files []backup.File
}

func (b *backingUp) run(ctx context.Context, spec string) error {
	to, err := backup.Open(ctx, spec, b.options)
	if err != nil {
		return err
	}
	if err := errors.Join(to.Check(ctx), b.load(ctx)); err != nil {
		return err
	}
	c, err := b.create(ctx)
	if err != nil {
		return err
	}
	m, err := b.take(ctx, to, c)
	if removeErr := b.remove(context.WithoutCancel(ctx), c); removeErr != nil {
		fmt.Fprintf(b.Stderr, "headwater: the server keeps its copy for now, and removes it in some minutes: %s\n", removeErr)
	}
	if err != nil {
		return fmt.Errorf("no backup was made: %w", err)
	}
	fmt.Fprintf(b.Stdout, "Backup of %d files, %s, is in %s\n", len(m.Files), humanSize(m.Size()), to)
	return nil
}

// create has the server make a checkpoint.
func (b *backingUp) create(ctx context.Context) (*checkpoint, error) {
	target := "/-/checkpoints"
	if b.credentials {
		target += "?credentials=true"
	}
	answer, err := b.ask(ctx, http.MethodPost, target)
	var refused *refusal
	if errors.As(err, &refused) && (refused.status == http.StatusNotFound || refused.status == http.StatusMethodNotAllowed) {
		return nil, fmt.Errorf("the server makes no backups: it keeps nothing on disk, or is of an older version (%w)", err)
	}
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	c := &checkpoint{}
	if err := json.NewDecoder(answer.Body).Decode(c); err != nil || c.ID == "" {
		return nil, fmt.Errorf("the server's answer makes no sense (%w)", err)
	}
	return c, nil
}

func (b *backingUp) take(ctx context.Context, to backup.Place, c *checkpoint) (*backup.Manifest, error) {
	source := &backup.Source{Files: c.Files, Dir: c.Path, Open: func(ctx context.Context, name string) (io.ReadCloser, error) {
		return b.download(ctx, c, name)
	}}
	var total int64
	for _, f := range c.Files {
		total += f.Size
	}
	p, stop := startProgress(b.Stderr, total)
	defer stop()
	return backup.Take(ctx, to, source, time.Now(), p.moved)
}

func (b *backingUp) remove(ctx context.Context, c *checkpoint) error {
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	answer, err := b.ask(ctx, http.MethodDelete, "/-/checkpoints/"+url.PathEscape(c.ID))
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// download reads a file of a checkpoint from the server.
func (b *backingUp) download(ctx context.Context, c *checkpoint, name string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	quiet := time.AfterFunc(bodySilence, func() { cancel(errSilence) })
	target := (&url.URL{Path: "/-/checkpoints/" + c.ID + "/" + name}).EscapedPath()
	answer, err := b.ask(ctx, http.MethodGet, target) //nolint:bodyclose // whoever reads it does
	if err != nil {
		quiet.Stop()
		cancel(nil)
		return nil, err
	}
	return &download{answer.Body, quiet, cancel}, nil
}

// download is a body that is lost when nothing comes for long.
type download struct {
	io.ReadCloser
	quiet  *time.Timer
	cancel context.CancelCauseFunc
}

func (d *download) Read(p []byte) (int, error) {
	d.quiet.Reset(bodySilence)
	return d.ReadCloser.Read(p)
}

func (d *download) Close() error {
	d.quiet.Stop()
	d.cancel(nil)
	return d.ReadCloser.Close()
}
