package logstore

import (
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/engine"
	"headwater/internal/engine/enginetest"
)

// small makes what usually takes much data happen with little.
func small(fs vfs.FS, dir string) Options {
	return Options{Dir: dir, FS: fs, VolumeSize: 1 << 20, CacheSize: 1 << 20, MaxIdleVolumes: 2, memTableSize: 64 << 10}
}

func mustOpen(t testing.TB, o Options) *Engine {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// testWriter sends the log to the test's.
type testWriter struct{ testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.Logf("%s", p)
	return len(p), nil
}

func TestConformance(t *testing.T) {
	for name, options := range map[string]func(t *testing.T) Options{
		"memory":        func(*testing.T) Options { return Options{Dir: "/data", FS: vfs.NewMem()} },
		"small volumes": func(*testing.T) Options { return small(vfs.NewMem(), "/data") },
		"disk":          func(t *testing.T) Options { return Options{Dir: t.TempDir(), ReserveSpace: -1} },
		"no inline": func(*testing.T) Options {
			return Options{Dir: "/data", FS: vfs.NewMem(), InlineLimit: -1, VolumeSize: 1 << 20}
		},
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.Run(t, func(t *testing.T) engine.Engine { return mustOpen(t, options(t)) })
		})
	}
}
