package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headwater/internal/engine"
	"headwater/internal/engine/logstore"
	"headwater/internal/mediastore"
)

// makeStore makes a data directory with two objects, and returns the file that
// their bytes are in.
func makeStore(t *testing.T, data string) (volume string) {
	t.Helper()
	e, err := logstore.Open(logstore.Options{Dir: filepath.Join(data, "store"), ReserveSpace: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := mediastore.Container{Account: "111122223333", Name: "movies", ID: "aaaaaaaaaaaaaa", Status: mediastore.StatusActive, CreatedAt: time.Unix(1, 0)}
	if err := e.CreateContainer(t.Context(), c, 0); err != nil {
		t.Fatal(err)
	}
	for _, path := range []mediastore.Path{"live/a.ts", "live/b.ts"} {
		u, err := e.NewUpload(t.Context(), c.ID, engine.UploadSpec{Path: path, Size: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		if _, err := u.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		if err := u.Commit(t.Context(), mediastore.Object{ETag: mediastore.ETag(path), LastModified: time.Unix(1, 0)}, mediastore.Precondition{}); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(data, "store", "volumes", "00000000.vol")
}

func TestFsck(t *testing.T) {
	data := t.TempDir()
	volume := makeStore(t, data)
	const sound = "2 objects checked; problems: 0\n"
	if got := run(t, nil, "fsck", "--data", data); got != (result{exitOK, sound, ""}) {
		t.Errorf("%+v", got)
	}
	bytes, err := os.ReadFile(volume)
	if err != nil {
		t.Fatal(err)
	}
	bytes[70_000] ^= 1
	if err := os.WriteFile(volume, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, nil, "fsck", "--data", data); got != (result{exitOK, sound, ""}) {
		t.Errorf("without a look at the bodies: %+v", got)
	}
	const lost = "lost: object aaaaaaaaaaaaaa/live/a.ts: volume 00000000.vol: the bytes of the block at 65536 are damaged\n"
	got := run(t, nil, "fsck", "--data", data, "--bodies")
	if got.Code != exitFailure || !strings.HasPrefix(got.Stdout, lost) || !strings.Contains(got.Stderr, "problems found: 1, left: 1") {
		t.Errorf("%+v", got)
	}
	got = run(t, []string{"HEADWATER_DATA=" + data}, "fsck", "--bodies", "--repair")
	if got.Code != exitFailure || !strings.HasPrefix(got.Stdout, lost) || !strings.Contains(got.Stdout, "problems: 1, left: 0") {
		t.Errorf("%+v", got)
	}
	if got := run(t, nil, "fsck", "--data", data, "--bodies"); got != (result{exitOK, "1 objects checked, 0.0 GB read; problems: 0\n", ""}) {
		t.Errorf("%+v", got)
	}
}

func TestFsckRefuses(t *testing.T) {
	data := t.TempDir()
	server := start(t, "serve", "--data", data, "--listen", "127.0.0.1:0")
	server.waitFor("ready at")
	if got := run(t, nil, "fsck", "--data", data, "--repair"); got.Code != exitFailure || !strings.Contains(got.Stderr, "is in use by another headwater process") {
		t.Errorf("in use: %+v", got)
	}
	server.stop()
	if got := run(t, nil, "fsck", "--data", filepath.Join(data, "none")); got.Code != exitFailure || !strings.Contains(got.Stderr, "is not a store") {
		t.Errorf("no store: %+v", got)
	}
	if got := run(t, nil, "fsck", "--data", data, "x"); got.Code != exitUsage {
		t.Errorf("an argument: %+v", got)
	}
}
