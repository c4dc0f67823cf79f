package logfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stamp is the time in the name of a file that was set aside. Names of one log
// are in the order of their times.
const stamp = "2006-01-02T15-04-05.000"

// onTime sets a quiet file aside at the end of its period. A busy one is by its
// next write, whichever comes first.
func (f *File) onTime() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.file == nil {
		return
	}
	f.rotateIfDueLocked(0)
	f.mu.timer.Reset(max(f.mu.until.Sub(f.o.Now()), f.mu.blocked.Sub(f.o.Now())))
}

// rotateIfDueLocked sets the file aside when its period is over or it has no room
// for n more bytes. When that fails, lines go on into the same file: a file that
// is too long is better than lines that are lost.
func (f *File) rotateIfDueLocked(n int64) {
	now := f.o.Now()
	over := f.o.RotateEvery > 0 && !now.Before(f.mu.until)
	full := f.o.MaxSize > 0 && f.mu.size+n > f.o.MaxSize
	switch {
	case f.mu.size == 0:
		f.beginLocked(now)
	case (over || full) && !now.Before(f.mu.blocked):
		if err := f.rotateLocked(now); err != nil {
			f.mu.blocked = now.Add(retryAfter)
			f.o.Log.Error("a log file could not be set aside", "file", f.o.Path, "error", err)
		}
	}
}

// rotateLocked sets the file aside and begins another. Until that one is open the
// old one stays in use, under whichever name. A Sync that comes too late for the
// old one has nothing to do: it is synced here.
func (f *File) rotateLocked(now time.Time) error {
	err := os.Rename(f.o.Path, f.nextName(now))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old := f.mu.file
	if err := f.openLocked(); err != nil {
		return err
	}
	f.pruneLocked()
	return errors.Join(old.Sync(), old.Close())
}

// nextName returns the name to set the file aside under: of now, or just after
// the last one when the clock went back or two files share an instant.
func (f *File) nextName(now time.Time) string {
	at := now.UTC().Truncate(time.Millisecond)
	if times, _ := f.setAside(); len(times) > 0 {
		if next := times[len(times)-1].Add(time.Millisecond); at.Before(next) {
			at = next
		}
	}
	return f.nameAt(at)
}

// nameAt returns the path of a file that was set aside at a time.
func (f *File) nameAt(at time.Time) string {
	ext := filepath.Ext(f.o.Path)
	return strings.TrimSuffix(f.o.Path, ext) + "-" + at.Format(stamp) + ext
}

// pruneLocked removes the oldest files of those that were set aside.
func (f *File) pruneLocked() {
	if f.o.Keep == 0 {
		return
	}
	times, err := f.setAside()
	for _, at := range times[:max(0, len(times)-f.o.Keep)] {
		err = errors.Join(err, os.Remove(f.nameAt(at)))
	}
	if err != nil {
		f.o.Log.Error("an old log file could not be removed", "file", f.o.Path, "error", err)
	}
}

// setAside returns the times at which files were set aside, oldest first.
func (f *File) setAside() ([]time.Time, error) {
	entries, err := os.ReadDir(filepath.Dir(f.o.Path)) // sorted
	var times []time.Time
	for _, entry := range entries {
		name := entry.Name()
		if i := len(name) - len(filepath.Ext(f.o.Path)) - len(stamp); i >= 0 {
			at, err := time.Parse(stamp, name[i:i+len(stamp)])
			if err == nil && name == filepath.Base(f.nameAt(at)) {
				times = append(times, at)
			}
		}
	}
	return times, err
}
