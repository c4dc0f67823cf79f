package logstore

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/mediastore"
)

func TestScrub(t *testing.T) {
	fs := vfs.NewMem()
	o := unhurried(fs)
	o.ScrubRate = 1 << 40
	e := mustOpen(t, o)
	defer e.Close()
	possible := fillVolumes(t, e, 40, 2)
	mustPut(t, e, "big", 2_500_000)
	mustPut(t, e, "inline", 100)
	if err := e.scrubber.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.ScrubbedBytes != 20*100_000+2_500_000 || s.ScrubPasses != 1 || s.DamagedObjects != 0 {
		t.Errorf("%+v", s)
	}
	flip(t, fs, "/data/volumes/00000000.vol", 50)          // f/000
	flip(t, fs, "/data/volumes/00000000.vol", 0x1a000+100) // f/001, which is deleted
	if err := fs.Remove("/data/volumes/00000002.vol"); err != nil {
		t.Fatal(err)
	}
	e.index.Set(objectKey(testID, "broken"), []byte("?"), nil)
	for range 2 {
		if err := e.scrubber.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Stats(); s.DamagedObjects != 2*(1+1+5) {
		t.Errorf("%+v", s)
	}
	if err := verifyPath(t, e, "f/002", possible["f/002"]); err != nil {
		t.Error(err)
	}
}

// TestScrubGoesOn after a restart where it was, with damage behind it and before.
func TestScrubGoesOn(t *testing.T) {
	fs := vfs.NewMem()
	o := unhurried(fs)
	o.ScrubRate = 1 << 40
	e := mustOpen(t, o)
	for i := range 3 * pageBytes / 1_000_000 {
		mustPut(t, e, mediastore.Path(fmt.Sprintf("%03d", i)), 1_000_000)
	}
	p, err := readPage(e.index, walkStart(), func(*objectRecord) bool { return true })
	if err != nil || p.next == nil {
		t.Fatalf("there is only one page (%v)", err)
	}
	e.scrubber.saved = scrubSave
	if err := e.scrubber.save(t.Context(), p.next); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = mustOpen(t, o)
	defer e.Close()
	all := e.Stats().LiveBytes
	for _, whole := range []bool{false, true} {
		before := e.Stats().ScrubbedBytes
		if err := e.scrubber.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := e.Stats().ScrubbedBytes - before; n == 0 || (n > all*9/10) != whole {
			t.Errorf("%d of %d bytes were read", n, all)
		}
	}
}

// TestScrubOfWhatChanges: a version that goes while it is read is not damaged.
func TestScrubOfWhatChanges(t *testing.T) {
	e := mustOpen(t, unhurried(vfs.NewMem()))
	defer e.Close()
	fillVolumes(t, e, 40, 5)
	p, err := readPage(e.index, walkStart(), func(*objectRecord) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	mustDelete(t, e, "f/000")
	if err := e.compactor.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.volumes.removals.Wait()
	if err := e.scrubber.scrub(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.DamagedObjects != 0 || s.ReclaimedVolumes == 0 {
		t.Errorf("%+v", s)
	}
}

// TestScrubEndsWithItsContext in the middle of an object that would take hours.
func TestScrubEndsWithItsContext(t *testing.T) {
	o := unhurried(vfs.NewMem())
	o.ScrubRate = 10_000
	e := mustOpen(t, o)
	defer e.Close()
	mustPut(t, e, "big", 9_000_000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.scrubber.pass(ctx) }()
	cancel()
	if err := <-done; err == nil || e.Stats().DamagedObjects != 0 {
		t.Errorf("%v, %+v", err, e.Stats())
	}
}
