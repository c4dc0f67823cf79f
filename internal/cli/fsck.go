package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"headwater/internal/app"
	"headwater/internal/config"
)

func newFsck(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check a store that no server has open, and repair it",
		Long: `Check what is stored in a data directory, while no server runs on it. Each problem
is a line. Nothing is changed without --repair.

The index is held against itself and against the files of the volumes. With
--bodies every stored byte is read as well and held against its checksum, which
takes as long as the disk does to read it all.

--repair puts right whatever follows from the objects: counts, sizes, expiries. An
object whose bytes are gone or damaged is removed, and listed as lost with its
container and path; of damaged bytes it only knows with --bodies. Whatever is not
damaged stays. Copy the directory first if you can.

Exit code 0 says that no problem was found, 1 that there were some, repaired or
not, or that the check could not be done.`,
		Example: `  # After a disk was moved or restored
  headwater fsck --data /var/lib/headwater

  # Read every byte, and remove what is damaged
  headwater fsck --data /var/lib/headwater --bodies --repair`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addSettings(cmd, "data", "config")
	var o app.FsckOptions
	cmd.Flags().BoolVar(&o.Bodies, "bodies", false, "read every body, too")
	cmd.Flags().BoolVar(&o.Repair, "repair", false, "put right what can be, and remove what is lost")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := config.Load(config.Input{Flags: flags, Env: p.Env})
		if err != nil {
			return err
		}
		return fsck(cmd.Context(), p, loaded.Data, o)
	}
	return cmd
}

func fsck(ctx context.Context, p Process, data string, o app.FsckOptions) error {
	told := &fsckTelling{out: p.Stdout, progress: p.Stderr, last: time.Now()}
	o.At, o.Report, o.Progress = time.Now(), told.problem, told.far
	log := slog.New(slog.NewTextHandler(p.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	result, err := app.Fsck(ctx, data, log, o)
	if err != nil {
		return err
	}
	told.sum(result, o)
	if result.Problems > 0 {
		return fmt.Errorf("%s was not in order: problems found: %d, left: %d", data, result.Problems, result.Left)
	}
	return nil
}

// fsckTelling writes what a check finds, and now and then how far it is.
type fsckTelling struct {
	out, progress io.Writer
	last          time.Time // that it was told how far
	at            app.FsckProgress
}

// tellEvery is how long a check may be silent.
const tellEvery = 10 * time.Second

func (t *fsckTelling) problem(p app.Problem) {
	switch {
	case p.Lost:
		fmt.Fprintf(t.out, "lost: %s\n", p.What)
	case p.Repairable:
		fmt.Fprintf(t.out, "wrong: %s\n", p.What)
	default:
		fmt.Fprintf(t.out, "wrong, and not repairable: %s\n", p.What)
	}
}

func (t *fsckTelling) far(at app.FsckProgress) {
	t.at = at
	if time.Since(t.last) >= tellEvery {
		t.last = time.Now()
		fmt.Fprintf(t.progress, "headwater: %s so far\n", t.amount())
	}
}

func (t *fsckTelling) amount() string {
	s := fmt.Sprintf("%d objects checked", t.at.Objects)
	if t.at.Bytes > 0 {
		s += fmt.Sprintf(", %.1f GB read", float64(t.at.Bytes)/1e9)
	}
	return s
}

func (t *fsckTelling) sum(r app.FsckResult, o app.FsckOptions) {
	fmt.Fprintf(t.out, "%s; problems: %d", t.amount(), r.Problems)
	if o.Repair {
		fmt.Fprintf(t.out, ", left: %d", r.Left)
	}
	if r.Orphans > 0 {
		fmt.Fprintf(t.out, "; volume files that hold nothing: %d", r.Orphans)
	}
	io.WriteString(t.out, "\n")
}
