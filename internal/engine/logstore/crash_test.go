package logstore

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/mediastore"
)

// crash is the disk as it may be found after a power cut, and what must be on it.
type crash struct {
	fs       *vfs.MemFS
	possible map[mediastore.Path][]version
}

// cutPower copies the disk. What was acknowledged before the copy began is
// promised; what had not begun when it ended is impossible.
func cutPower(fs *vfs.MemFS, h *history, random *rand.Rand) crash {
	promised := h.acked()
	percent := []int{0, 0, 30, 70, 100}[random.IntN(5)]
	clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random})
	return crash{clone, h.possible(promised)}
}

// crashableFS calls synced after every sync of a file: the moments between two
// syncs are those at which a power cut tells right from wrong order.
type crashableFS struct {
	*vfs.MemFS
	synced func()
}

type crashableFile struct {
	vfs.File
	synced func()
}

func (f crashableFile) Sync() error     { defer f.synced(); return f.File.Sync() }
func (f crashableFile) SyncData() error { defer f.synced(); return f.File.SyncData() }

func (fs crashableFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.MemFS.Create(name, category)
	return crashableFile{f, fs.synced}, err
}

func (fs crashableFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.MemFS.OpenReadWrite(name, category, opts...)
	return crashableFile{f, fs.synced}, err
}

func (fs crashableFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.MemFS.OpenDir(name)
	return crashableFile{f, fs.synced}, err
}

// ReuseForWrite does what that of MemFS does, which takes the lock that
// CrashClone waits for twice: once too often when CrashClone comes in between.
func (fs crashableFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return fs.OpenReadWrite(newname, category)
}

// powerCuts cuts the power after some of the syncs, while others go on working.
type powerCuts struct {
	fs      *vfs.MemFS
	history *history
	mu      struct {
		sync.Mutex
		random  *rand.Rand
		crashes []crash
	}
}

func (p *powerCuts) synced() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.random.IntN(40) == 0 {
		p.mu.crashes = append(p.mu.crashes, cutPower(p.fs, p.history, p.mu.random))
	}
}

func TestCrash(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			for _, c := range runAndCrash(t, seed) {
				verifyCrash(t, c)
			}
		})
	}
}

// runAndCrash lets several writers work and cuts the power now and then, in the
// middle of what they do.
func runAndCrash(t *testing.T, seed uint64) []crash {
	cuts := &powerCuts{fs: vfs.NewCrashableMem(), history: newHistory()}
	cuts.mu.random = rand.New(rand.NewPCG(seed, 99))
	o := small(crashableFS{cuts.fs, cuts.synced}, "/data")
	o.compactEvery, o.VolumeSize = time.Millisecond, 256<<10
	e := mustOpen(t, o)
	if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for writer := range 6 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(writer)))
			for range 40 {
				if err := cuts.history.step(t.Context(), e, fmt.Sprint("w", writer), random); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
	wg.Wait()
	last := cutPower(cuts.fs, cuts.history, rand.New(rand.NewPCG(seed, 100)))
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if len(cuts.mu.crashes) == 0 {
		t.Error("the power was never cut")
	}
	return append(cuts.mu.crashes, last)
}

// TestCrashAtEverySync does one thing after the other and cuts the power after
// every single sync, of files and of directories, that of the start included.
func TestCrashAtEverySync(t *testing.T) {
	fs, h := vfs.NewCrashableMem(), newHistory()
	random := rand.New(rand.NewPCG(11, 11))
	var mu sync.Mutex
	var crashes []crash
	synced := func() {
		mu.Lock()
		defer mu.Unlock()
		crashes = append(crashes, cutPower(fs, h, random))
	}
	e := mustOpen(t, crowded(crashableFS{fs, synced}))
	if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
		t.Fatal(err)
	}
	steps := rand.New(rand.NewPCG(12, 12))
	for i := range 80 {
		if err := h.step(t.Context(), e, "w", steps); err != nil {
			t.Error(err)
		}
		if i%4 == 0 {
			if err := e.compactor.pass(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	moved := e.Stats().MovedBytes
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if moved == 0 || len(crashes) < 130 {
		t.Errorf("%d bytes were moved and the power was cut %d times: the test has lost its aim", moved, len(crashes))
	}
	for i, c := range crashes {
		verifyCrash(t, c)
		if t.Failed() {
			t.Fatalf("cut %d of %d", i, len(crashes))
		}
	}
}

// verifyCrash opens what a crash has left, twice: recovery must not harm what it
// finds, and what is stored after it must be as safe as before.
func verifyCrash(t *testing.T, c crash) {
	t.Helper()
	e := mustOpen(t, crowded(c.fs))
	verify(t, e, c.possible)
	if err := e.compactor.pass(t.Context()); err != nil {
		t.Error(err)
	}
	h, random := newHistory(), rand.New(rand.NewPCG(1, 1))
	for range 5 {
		if len(c.possible) > 0 { // there is a container
			if err := h.step(t.Context(), e, "after", random); err != nil {
				t.Error(err)
			}
		}
	}
	again := cutPower(c.fs, h, random)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for path, versions := range c.possible {
		again.possible[path] = versions
	}
	e = mustOpen(t, small(again.fs, "/data"))
	defer e.Close()
	verify(t, e, again.possible)
}
