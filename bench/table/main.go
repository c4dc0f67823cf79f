// Command table measures Headwater beside other servers, on this machine, in one
// run, and writes what it found to docs/performance.md:
//
//	make peers   # nginx, MinIO, versitygw: once
//	make bench
//
// It generates the load itself, as cheaply as it can, and counts only what the
// servers' processes use. It knows all of them by their wire, and nothing of how
// Headwater works.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	rows, servers string
	rounds        int
	time          time.Duration
	out           string
	profile       string
	relay         bool
}

func main() {
	var o options
	flag.StringVar(&o.rows, "rows", "", "rows to run, with commas between them; all when empty: "+strings.Join(rowNames(), ", "))
	flag.StringVar(&o.servers, "servers", "", "servers to run, with commas between them; all that are installed when empty")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, in each of which every server has its turn")
	flag.DurationVar(&o.time, "time", 4*time.Second, "length of one measurement")
	flag.StringVar(&o.out, "o", "", "page to write when all rows and servers were run; its plot goes to images/ beside it")
	flag.StringVar(&o.profile, "profile", "", "directory for a profile of Headwater in each row, taken by perf")
	flag.BoolVar(&o.relay, "bare-relay", false, "be the bare relay (the program starts itself with this)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.relay {
		return serveBareRelay(ctx)
	}
	// Below the current directory, because the system's may be in memory.
	if err := os.MkdirAll("tmp", 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("tmp", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	rows, err := selectRows(o.rows)
	if err != nil {
		return err
	}
	b := &bench{options: o, dir: dir, results: map[key][]result{}}
	defer b.stop()
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.rounds(ctx, rows); err != nil {
		return err
	}
	rep := b.report(rows)
	rep.print(os.Stdout)
	return rep.write(o)
}

func selectRows(list string) ([]row, error) {
	if list == "" {
		return rows, nil
	}
	var chosen []row
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no row %q", name)
		}
		chosen = append(chosen, rows[i])
	}
	return chosen, nil
}

// key names what is measured.
type key struct{ row, server string }

// bench is one run of the table.
type bench struct {
	options options
	dir     string
	servers []*server
	results map[key][]result // one for each round
}

// start starts every server that is wanted and installed, and fills it.
func (b *bench) start(ctx context.Context) error {
	cert, err := makeCertificate(b.dir)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if !listed(b.options.servers, k.name) {
			continue
		}
		s, err := k.start(ctx, b.dir, cert)
		if errors.Is(err, errNotInstalled) {
			fmt.Fprintf(os.Stderr, "%s is not installed: make peers\n", k.name)
			continue
		}
		if s != nil {
			b.servers = append(b.servers, s)
		}
		if err == nil && s.store {
			err = fill(s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

func listed(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

func (b *bench) stop() {
	for _, s := range b.servers {
		s.stop()
	}
}

// rounds runs the rows one after another, and in each the servers in turn, so that
// what else the machine does hits all of them.
func (b *bench) rounds(ctx context.Context, rows []row) error {
	for _, r := range rows {
		for round := range b.options.rounds {
			for _, s := range b.servers {
				if !slices.Contains(r.servers, s.name) || s.overTLS != r.tls {
					continue
				}
				syscall.Sync() // nobody pays for what another left unwritten
				got, err := r.run(ctx, &turn{row: r, server: s, round: round, time: b.options.time, profile: b.profile(r, s)})
				if err != nil {
					return fmt.Errorf("%s, %s: %w", r.name, s.name, err)
				}
				k := key{r.name, s.name}
				b.results[k] = append(b.results[k], got)
				fmt.Fprintf(os.Stderr, "%-18s round %d  %-10s %s\n", r.name, round+1, s.name, got.text(r))
			}
		}
	}
	return nil
}

// profile names the file for a profile, or is empty.
func (b *bench) profile(r row, s *server) string {
	if b.options.profile == "" || s.name != headwater {
		return ""
	}
	return b.options.profile + "/" + r.name + ".perf"
}
