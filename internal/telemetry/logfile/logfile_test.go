package logfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/telemetry/logfile"
)

// options are for a file of the test's own. In a bubble the clock is its.
func options(t *testing.T) logfile.Options {
	return logfile.Options{
		Path: filepath.Join(t.TempDir(), "logs", "access.jsonl"),
		Now:  time.Now,
		Log:  slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func open(t *testing.T, o logfile.Options) *logfile.File {
	t.Helper()
	f, err := logfile.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, f *logfile.File, lines string) {
	t.Helper()
	if n, err := f.Write([]byte(lines)); err != nil || n != len(lines) {
		t.Fatalf("wrote %d bytes of %q: %v", n, lines, err)
	}
}

// wantFiles holds what is in the directory, by time of setting aside and the
// current file last, against what is wanted.
func wantFiles(t *testing.T, o logfile.Options, want ...string) {
	t.Helper()
	dir := filepath.Dir(o.Path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%v\n%s", entries, diff)
	}
}

func TestRotatesBySize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		o.MaxSize = 6
		f := open(t, o)
		defer f.Close()
		write(t, f, "aa\n")
		write(t, f, "bb\n")
		write(t, f, "longer than a file\n")
		write(t, f, "cc\n")
		write(t, f, "dd\nee\n")
		write(t, f, "ff\ngg\nhh\nlonger, and in the midst\nii\n") // no file is too long because of how many came at once
		wantFiles(t, o, "aa\nbb\n", "longer than a file\n", "cc\n", "dd\nee\n", "ff\ngg\n", "hh\n", "longer, and in the midst\n", "ii\n")
	})
}

// TestRotatesByTime: no file has lines of two periods, and a quiet one does not
// wait for the next line.
func TestRotatesByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight UTC
		o := options(t)
		o.RotateEvery = time.Hour
		f := open(t, o)
		time.Sleep(59 * time.Minute)
		write(t, f, "00:59\n")
		time.Sleep(time.Minute)
		write(t, f, "01:00\n") // before the timer or after it
		wantFiles(t, o, "00:59\n", "01:00\n")

		time.Sleep(time.Hour)
		synctest.Wait()
		wantFiles(t, o, "00:59\n", "01:00\n", "")

		time.Sleep(5 * time.Hour) // nothing comes of nothing
		synctest.Wait()
		wantFiles(t, o, "00:59\n", "01:00\n", "")
		write(t, f, "07:00\n")
		wantFiles(t, o, "00:59\n", "01:00\n", "07:00\n")
		if _, err := os.Stat(strings.TrimSuffix(o.Path, ".jsonl") + "-2000-01-01T01-00-00.000.jsonl"); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		wantFiles(t, o, "00:59\n", "01:00\n", "07:00\n")
	})
}

// TestReopen: a file of this period is continued, one of an earlier is not.
func TestReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(90 * time.Minute)
		o := options(t)
		o.RotateEvery = time.Hour
		for _, line := range []string{"a\n", "b\n"} {
			f := open(t, o)
			write(t, f, line)
			f.Close()
			changed(t, o, time.Now().Add(-30*time.Minute))
		}
		wantFiles(t, o, "a\nb\n")

		changed(t, o, time.Now().Add(-31*time.Minute))
		f := open(t, o)
		defer f.Close()
		synctest.Wait()
		wantFiles(t, o, "a\nb\n", "")
		write(t, f, "c\n")
		wantFiles(t, o, "a\nb\n", "c\n")
	})
}

// changed sets the time of the last change, which is not a bubble's.
func changed(t *testing.T, o logfile.Options, at time.Time) {
	t.Helper()
	if err := os.Chtimes(o.Path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		o.MaxSize, o.Keep = 1, 2
		f := open(t, o)
		dir := filepath.Dir(o.Path)
		others := []string{"access-notes.jsonl", "access-2000-01-01T00-00-00.000.txt", "audit-2000-01-01T00-00-00.000.jsonl"}
		for _, name := range others {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 5 {
			write(t, f, fmt.Sprintln(i)) // all in one instant
		}
		f.Close()
		for _, name := range others {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
		wantFiles(t, o, "2\n", "3\n", "4\n")

		o.Keep = 1 // of a start with another setting
		open(t, o).Close()
		wantFiles(t, o, "3\n", "4\n")
	})
}

func TestTornLineIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		f := open(t, o)
		write(t, f, "whole\n{\"torn")
		f.Close()
		f = open(t, o)
		write(t, f, "next\n")
		write(t, f, "half") // as a full disk leaves it
		write(t, f, "last\n")
		f.Close()
		open(t, o).Close()
		wantFiles(t, o, "whole\n{\"torn\nnext\nhalf\nlast\n")
	})
}

func TestModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		o.MaxSize = 1
		f := open(t, o)
		defer f.Close()
		write(t, f, "a\n")
		write(t, f, "b\n")
		err := filepath.WalkDir(filepath.Dir(o.Path), func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; info.Mode().Perm() != want {
				t.Errorf("%s has mode %o, want %o", d.Name(), info.Mode().Perm(), want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestFailedRotation: lines go on into the file that there is, until another can
// be made.
func TestFailedRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		var log bytes.Buffer
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		o.MaxSize, o.RotateEvery = 3, time.Hour
		f := open(t, o)
		defer f.Close()
		write(t, f, "a\n")
		gone := filepath.Dir(o.Path) + "-gone"
		if err := os.Rename(filepath.Dir(o.Path), gone); err != nil {
			t.Fatal(err)
		}
		write(t, f, "b\n")
		write(t, f, "c\n")
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "no such file") {
			t.Errorf("log: %s", got)
		}
		if b, err := os.ReadFile(filepath.Join(gone, "access.jsonl")); string(b) != "a\nb\nc\n" {
			t.Errorf("the file has %q, %v", b, err)
		}
		if err := os.Mkdir(filepath.Dir(o.Path), 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		write(t, f, "d\n")
		wantFiles(t, o, "d\n")
		time.Sleep(time.Hour) // a failure does not stop the timer
		synctest.Wait()
		wantFiles(t, o, "d\n", "")
	})
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, options(t))
		f.Close()
		_, err := f.Write([]byte("a\n"))
		for _, err := range []error{err, f.Sync(), f.Close()} {
			if !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%v after Close", err)
			}
		}
	})
}

func TestOpenFails(t *testing.T) {
	o := options(t)
	o.Path = t.TempDir() // a directory
	if _, err := logfile.Open(o); err == nil {
		t.Error("a directory was opened")
	}
	o = options(t)
	if err := os.WriteFile(filepath.Dir(o.Path), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := logfile.Open(o); err == nil {
		t.Error("a file was made in a file")
	}
}

// TestManyWriters: every line is there once and whole, whatever file it is in.
func TestManyWriters(t *testing.T) {
	o := options(t)
	o.MaxSize = 500
	f := open(t, o)
	var wg sync.WaitGroup
	var want []string
	for writer := range 4 {
		var lines []string
		for i := range 200 {
			lines = append(lines, fmt.Sprintf("writer %d line %d\n", writer, i))
		}
		want = append(want, lines...)
		wg.Go(func() {
			for _, line := range lines {
				if _, err := f.Write([]byte(line)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f.Close()

	names, _ := filepath.Glob(filepath.Join(filepath.Dir(o.Path), "*"))
	var got []string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil || len(b) > 500 {
			t.Errorf("%s has %d bytes, %v", name, len(b), err)
		}
		got = append(got, slices.Collect(strings.Lines(string(b)))...)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(names) < 10 {
		t.Errorf("in %d files: %s", len(names), diff)
	}
}

func BenchmarkWrite(b *testing.B) {
	f, err := logfile.Open(logfile.Options{
		Path: filepath.Join(b.TempDir(), "access.jsonl"), MaxSize: 100 << 20, RotateEvery: time.Hour, Keep: 1,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	batch := bytes.Repeat([]byte(strings.Repeat("x", 399)+"\n"), 100)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Write(batch); err != nil {
			b.Fatal(err)
		}
	}
}
