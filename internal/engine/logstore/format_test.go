package logstore

import (
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// makeVersion1 writes a store as the first format had it: no file of it, and no
// record, is made by what the engine does today.
func makeVersion1(t *testing.T, fs vfs.FS) (inline, spread objectRecord) {
	t.Helper()
	e := mustOpen(t, small(fs, "/data")) // for the directories, and a volume
	mustPut(t, e, "f/spread", 100_000)
	spread, _, err := lookupVersion(e.index, testID, "f/spread", withoutBody)
	if err != nil {
		t.Fatal(err)
	}
	inline = objectRecord{object: mediastore.Object{Path: "f/inline", ETag: "1", Size: 4, LastModified: testEpoch}, inline: []byte("body")}
	batch := e.index.NewBatch()
	for _, entry := range []entry{
		{objectKey(testID, "f/spread"), encodeObject1(&spread)},
		{objectKey(testID, "f/inline"), encodeObject1(&inline)},
		{countKey(testID, "f"), encodeCount(2)},
	} {
		if err := batch.Set(entry.key, entry.value, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.DeleteRange(eventKey(0), eventKey(1<<63), nil); err != nil {
		t.Fatal(err)
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := writeSynced(fs, "/data/FORMAT", "headwater logstore 1\n"); err != nil {
		t.Fatal(err)
	}
	return inline, spread
}

// TestUpgrade opens a store of the first format, which is of the present one
// from then on, and goes on with it.
func TestUpgrade(t *testing.T) {
	fs := vfs.NewMem()
	inline, spread := makeVersion1(t, fs)
	e := mustOpen(t, small(fs, "/data"))
	defer func() { e.Close() }()
	for range 2 {
		if found, err := readSmall(fs, "/data/FORMAT"); err != nil || found != "headwater logstore 2\n" {
			t.Errorf("FORMAT is %q, %v", found, err)
		}
		for _, want := range []objectRecord{inline, spread} {
			got, err := e.StatObject(t.Context(), testID, want.object.Path)
			if diff := cmp.Diff(want.object, got); err != nil || diff != "" {
				t.Errorf("StatObject: %v (-want +got):\n%s", err, diff)
			}
		}
		if oldest, newest, err := e.EventBounds(t.Context()); oldest != 0 || newest != 0 || err != nil {
			t.Errorf("EventBounds = %d, %d, %v", oldest, newest, err)
		}
		if err := e.check(true); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = mustOpen(t, small(fs, "/data"))
	}
	if err := e.ArchiveVersion(t.Context(), testID, engine.VersionID{Path: "f/spread", ETag: spread.object.ETag}, true); err != nil {
		t.Error(err)
	}
	mustPut(t, e, "f/inline", 40_000)
	if err := e.check(true); err != nil {
		t.Error(err)
	}
}

// TestUpgradeIsNotedFirst: a store whose format cannot be noted is not opened.
func TestUpgradeIsNotedFirst(t *testing.T) {
	fs := vfs.NewMem()
	makeVersion1(t, fs)
	full := &fault{onward: true, err: syscall.ENOSPC, only: func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, "FORMAT.new") }}
	if _, err := Open(small(errorfs.Wrap(fs, full), "/data")); !mediastore.IsKind(err, mediastore.KindStorageFull) {
		t.Errorf("a store whose format could not be noted was answered with %v", err)
	}
	if found, err := readSmall(fs, "/data/FORMAT"); err != nil || !strings.HasSuffix(found, " 1\n") {
		t.Errorf("FORMAT is %q, %v", found, err)
	}
}
