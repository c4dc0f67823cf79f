package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// maxMemory is what Headwater's peak is to stay within, in bytes.
const maxMemory = 256 << 20

// report is a table that was run, ready to be shown.
type report struct {
	lines   []line
	memory  []string // one line for each process
	machine string
	whole   bool // all rows and all servers
	met     bool
	rounds  int
}

// line is one row.
type line struct {
	row     row
	servers []measured
	targets []string
}

// measured is what a row found on one server: medians of the rounds, and the
// medians of what Headwater reached in the same round in proportion.
type measured struct {
	server               string
	result               result
	speedRatio, cpuRatio float64 // Headwater's to this server's; 0 when there is none
}

func (b *bench) report(chosen []row) *report {
	r := &report{machine: machine(), whole: len(chosen) == len(rows) && b.options.servers == "", met: true, rounds: b.options.rounds}
	for _, row := range chosen {
		l := line{row: row}
		for _, name := range row.servers {
			if rounds := b.results[key{row.name, name}]; len(rounds) > 0 {
				l.servers = append(l.servers, b.measured(row, name, rounds))
			}
		}
		for _, t := range row.targets {
			text, met := b.judge(row, t)
			l.targets = append(l.targets, text)
			r.met = r.met && met
		}
		r.lines = append(r.lines, l)
	}
	b.memory(r)
	return r
}

func (b *bench) measured(row row, name string, rounds []result) measured {
	of := func(m metric) float64 {
		var values []float64
		for i := range rounds {
			values = append(values, rounds[i].value(m))
		}
		return median(values)
	}
	m := measured{server: name, result: result{perSecond: of(speed), cpu: microseconds(of(cpu)), p50: microseconds(of(p50)), p99: microseconds(of(p99))}}
	m.speedRatio, m.cpuRatio = b.ratio(row, name, speed), b.ratio(row, name, cpu)
	return m
}

// ratio is Headwater's to another server's, or NaN when one of them is not there.
func (b *bench) ratio(row row, against string, m metric) float64 {
	return b.compare(row, against, m, func(ours, theirs float64) float64 { return ours / theirs })
}

// compare is the median of what each round says.
func (b *bench) compare(row row, against string, m metric, by func(ours, theirs float64) float64) float64 {
	ours, theirs := b.results[key{row.name, headwater}], b.results[key{row.name, against}]
	if len(ours) == 0 || len(ours) != len(theirs) {
		return math.NaN()
	}
	var all []float64
	for i := range ours {
		all = append(all, by(ours[i].value(m), theirs[i].value(m)))
	}
	return median(all)
}

// judge holds what was measured against a target.
func (b *bench) judge(row row, t target) (text string, met bool) {
	got, unit := b.reached(row, t)
	met = got >= t.limit
	bound := "at least"
	if t.atMost {
		met, bound = got <= t.limit, "at most"
	}
	text = fmt.Sprintf("%s %s %g%s", t.what, bound, t.limit, unit)
	if math.IsNaN(got) {
		return text + ": not measured", false
	}
	digits := 0
	if got < 10 {
		digits = 2
	}
	return fmt.Sprintf("%s: %.*f, %s", text, digits, got, verdict(met)), met
}

// reached is what a target looks at, NaN when it was not measured.
func (b *bench) reached(row row, t target) (got float64, unit string) {
	switch {
	case t.against == noServer:
		return b.compare(row, noServer, t.what, func(ours, theirs float64) float64 { return ours - theirs }), " µs"
	case t.against != "":
		return b.ratio(row, t.against, t.what), " x " + t.against
	default:
		return b.compare(row, headwater, t.what, func(ours, _ float64) float64 { return ours }), " µs"
	}
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}

// memory tells the servers' peaks.
func (b *bench) memory(r *report) {
	for _, s := range b.servers {
		if s.process == nil {
			continue
		}
		name := s.name
		if s.overTLS {
			name += " (TLS)"
		}
		text := fmt.Sprintf("%s: %d MiB", name, s.peak()>>20)
		if s.name == headwater {
			met := s.peak() <= maxMemory
			text += fmt.Sprintf("; at most %d MiB: %s", maxMemory>>20, verdict(met))
			r.met = r.met && met
		}
		r.memory = append(r.memory, text)
	}
}

func microseconds(v float64) time.Duration { return time.Duration(v * float64(time.Microsecond)) }

func machine() string {
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(info), "model name"); found {
			first, _, _ := strings.Cut(rest, "\n")
			model = strings.TrimLeft(first, "\t :")
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	major, _, _ := strings.Cut(string(kernel), "-")
	return fmt.Sprintf("%s, %d processors, Linux %s, %s", model, runtime.NumCPU(), strings.TrimSpace(major), runtime.Version())
}

func versions() string {
	var all []string
	if program, err := find(nginx); err == nil {
		out, _ := exec.Command(program, "-v").CombinedOutput()
		_, version, _ := strings.Cut(strings.TrimSpace(string(out)), "/")
		all = append(all, "nginx "+version)
	}
	for _, name := range []string{minio, versitygw} {
		program, err := find(name)
		if err != nil {
			continue
		}
		out, _ := exec.Command("go", "version", "-m", program).Output()
		if _, rest, found := strings.Cut(string(out), "\tmod\t"); found {
			if f := strings.Fields(rest); len(f) > 1 {
				all = append(all, name+" "+f[1])
			}
		}
	}
	return strings.Join(all, ", ")
}

// print writes the table for a terminal.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s; %s\n", r.machine, versions())
	for _, l := range r.lines {
		fmt.Fprintf(w, "\n%s (%s)\n", l.row.title, l.row.name)
		for _, m := range l.servers {
			fmt.Fprintf(w, "  %-10s %-44s %s\n", m.server, m.result.text(l.row), m.ratios(" "))
		}
		for _, t := range l.targets {
			fmt.Fprintf(w, "  target: %s\n", strings.ReplaceAll(t, "**", ""))
		}
	}
	fmt.Fprintf(w, "\nPeak memory\n")
	for _, m := range r.memory {
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(m, "**", ""))
	}
}

// ratios compares Headwater with the server.
func (m *measured) ratios(between string) string {
	if m.server == headwater || m.result.p50 > 0 || math.IsNaN(m.speedRatio) {
		return between
	}
	return fmt.Sprintf("%.2f x%s%.2f x", m.speedRatio, between, m.cpuRatio)
}

// write writes the page, when all of it is there to be told.
func (r *report) write(o options) error {
	if o.out == "" {
		return nil
	}
	if !r.whole {
		return fmt.Errorf("%s is not written: it needs all rows and servers", o.out)
	}
	images := filepath.Join(filepath.Dir(o.out), "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(images, "performance.svg"), r.plot(), 0o644); err != nil {
		return err
	}
	former, err := os.ReadFile(o.out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(o.out, r.page(string(former)), 0o644)
}
