package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"headwater/internal/app"
	"headwater/internal/backup"
)

func newRestore(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore DIR|s3://BUCKET/PREFIX",
		Short: "Bring a backup back into a data directory",
		Long: `Bring a backup back into a data directory that holds no store. Every file is held
against the SHA-256 that the backup has of it, and the store is opened once, before
anything appears in the data directory. No server may be running on it.

An incomplete backup is refused. Unless the backup has the root key pair, the server
makes up a new one at its next start, or takes the one of its configuration.`,
		Example: `  headwater restore /mnt/backup/monday --data /var/lib/headwater

  # From a bucket
  headwater restore s3://my-backups/monday --data /var/lib/headwater`,
		ValidArgsFunction: directoryFirst,
	}
	r := &restoring{Process: p}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&r.data, "data", "", "`DIR` of the data, new or without a store")
	addPlace(f, &r.options)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || r.data == "" {
			return usagef(cmd, "restore needs a backup, which is a directory or s3://BUCKET/PREFIX, and --data")
		}
		return r.run(cmd.Context(), args[0])
	}
	return cmd
}

// restoring is a backup being brought back.
type restoring struct {
	Process
	data    string
	options backup.Options
}

func (r *restoring) run(ctx context.Context, spec string) error {
	from, err := backup.Open(ctx, spec, r.options)
	if err != nil {
		return err
	}
	m, err := backup.Read(ctx, from)
	if err != nil {
		return err
	}
	p, stop := startProgress(r.Stderr, m.Size())
	err = backup.Restore(ctx, from, m, r.data, app.CheckStore, p.moved)
	stop()
	if err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	fmt.Fprintf(r.Stdout, "Backup of %s, %d files, %s, is in %s\n", m.Created.Format(time.RFC3339), len(m.Files), humanSize(m.Size()), r.data)
	return nil
}
