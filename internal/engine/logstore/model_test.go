package logstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headwater/internal/engine"
	"headwater/internal/engine/memory"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

var (
	modelSeed     = flag.Uint64("seed", 0, "the seed of the only model run to do, 0 for the usual ones")
	modelDuration = flag.Duration("duration", 0, "for how long to do model runs with ever new seeds")
)

// TestAgainstModel does the same random things to this engine and to the one in
// memory, which must answer alike. This one is closed, or loses its power, and is
// opened again now and then, and is compacted between. A seed is one sequence of
// things, and the name of a subtest: go test -run TestAgainstModel -seed 7 does
// it again, and -duration 8h looks for more.
func TestAgainstModel(t *testing.T) {
	seed, left := uint64(1), 6
	if *modelSeed != 0 {
		seed, left = *modelSeed, 1
	}
	var end time.Time
	if *modelDuration > 0 {
		end = time.Now().Add(*modelDuration)
		seed = uint64(end.UnixNano())
	}
	for ; left > 0 || time.Now().Before(end); seed, left = seed+1, left-1 {
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { runModel(t, seed) }) {
			return
		}
	}
}

func runModel(t *testing.T, seed uint64) {
	m := &modelRun{
		T: t, fs: vfs.NewCrashableMem(), model: memory.New(), random: rand.New(rand.NewPCG(seed, 0)),
		elements: []string{"a", "b", "a-", "a.b"},
	}
	m.open()
	defer func() { m.engine.Close() }()
	for step := range 400 {
		m.step()
		if t.Failed() {
			t.Fatalf("step %d", step)
		}
	}
	m.reopen()
	m.compareAll()
}

type modelRun struct {
	*testing.T
	fs       *vfs.MemFS
	engine   *Engine
	model    *memory.Engine
	random   *rand.Rand
	elements []string
	steps    int
}

func (m *modelRun) step() {
	m.steps++
	switch m.random.IntN(33) {
	case 0:
		m.reopen()
	case 1:
		m.create()
	case 2:
		m.update()
	case 3:
		m.deleteContainer()
	case 4, 5, 6, 7:
		m.deleteObject()
	case 8, 9:
		m.list()
	case 10, 11:
		m.removeVersions()
	case 12, 13:
		m.archive()
	case 14:
		m.sweep()
	case 15:
		m.walk()
	case 16:
		m.trim()
	case 17:
		m.leftovers()
	case 18, 19:
		m.compact()
	case 20:
		m.crash()
	default:
		m.put()
	}
}

func (m *modelRun) open() {
	m.engine = mustOpen(m.T, crowded(m.fs))
	if err := m.engine.check(true); err != nil {
		m.Errorf("check: %v", err)
	}
}

func (m *modelRun) reopen() {
	if err := m.engine.Close(); err != nil {
		m.Errorf("Close: %v", err)
	}
	m.open()
}

// crash cuts the power: of what was not synced, a random part is lost.
func (m *modelRun) crash() {
	percent := []int{0, 50, 100}[m.random.IntN(3)]
	left := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: m.random})
	if err := m.engine.Close(); err != nil {
		m.Errorf("Close: %v", err)
	}
	m.fs = left
	m.open()
	m.compareAll()
}

func (m *modelRun) compact() {
	if err := m.engine.compactor.pass(m.Context()); err != nil {
		m.Errorf("compaction: %v", err)
	}
}

// both does something to both engines and compares what they say.
func (m *modelRun) both(what string, do func(engine.Engine) (any, error)) {
	m.Helper()
	want, wantErr := do(m.model)
	got, gotErr := do(m.engine)
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		m.Errorf("%s (-model +got):\n%s", what, diff)
	}
	if (wantErr == nil) != (gotErr == nil) || wantErr != nil && mediastore.KindOf(wantErr) != mediastore.KindOf(gotErr) {
		m.Errorf("%s: got the error %v, the model says %v", what, gotErr, wantErr)
	}
}

func (m *modelRun) name() mediastore.ContainerName {
	return mediastore.ContainerName(m.elements[m.random.IntN(2)])
}

// id is that of one of the containers that may be there: an ID is used once.
func (m *modelRun) id() mediastore.ContainerID {
	c, err := m.model.Container(context.Background(), testAccount, m.name())
	if err != nil {
		return testID
	}
	return c.ID
}

func (m *modelRun) path() mediastore.Path {
	folder := mediastore.Folder("")
	for range m.random.IntN(3) {
		folder = mediastore.Folder(folder.Join(m.elements[m.random.IntN(len(m.elements))]))
	}
	return folder.Join(m.elements[m.random.IntN(len(m.elements))])
}

func (m *modelRun) create() {
	c := testContainer()
	c.Name, c.ID = m.name(), mediastore.ContainerID(fmt.Sprintf("id%012d", m.steps))
	limit := m.random.IntN(3)
	m.both("CreateContainer", func(e engine.Engine) (any, error) {
		return nil, e.CreateContainer(m.Context(), c, limit)
	})
}

func (m *modelRun) update() {
	name, policy := m.name(), fmt.Sprint(m.steps)
	m.both("UpdateContainer", func(e engine.Engine) (any, error) {
		return e.UpdateContainer(m.Context(), testAccount, name, func(c *mediastore.Container) error {
			c.Policy = policy
			return nil
		})
	})
}

func (m *modelRun) deleteContainer() {
	name := m.name()
	m.both("BeginDeleteContainer", func(e engine.Engine) (any, error) {
		return e.BeginDeleteContainer(m.Context(), testAccount, name)
	})
	m.both("RemoveContainer", func(e engine.Engine) (any, error) {
		return nil, e.RemoveContainer(m.Context(), testAccount, name, testEpoch)
	})
}

func (m *modelRun) precondition() (pre mediastore.Precondition) {
	pre.At = m.moment()
	switch m.random.IntN(6) {
	case 0:
		pre.NoneMatchAny = true
	case 1:
		pre.MatchAny = true
	case 2:
		pre.Match = []mediastore.ETag{mediastore.ETag(fmt.Sprint(m.steps - 1)), mediastore.ETag(fmt.Sprint(m.steps - 2))}
	}
	return pre
}

func (m *modelRun) put() {
	id, path, pre := m.id(), m.path(), m.precondition()
	sizes := []int{0, 10, 32 << 10, 32<<10 + 1, 200_000, 900_000}
	v := version{seed: uint64(m.steps), size: sizes[m.random.IntN(len(sizes))]}
	spec := engine.UploadSpec{Path: path, Size: int64(v.size)}
	if m.random.IntN(2) == 0 {
		spec.Size = -1
	}
	object := mediastore.Object{ETag: mediastore.ETag(fmt.Sprint(m.steps)), LastModified: testEpoch}
	if m.random.IntN(3) == 0 {
		object.ExpiresAt = m.moment()
		spec.ExpiresAt = object.ExpiresAt
	}
	m.both("put "+string(path), func(e engine.Engine) (any, error) {
		u, err := e.NewUpload(m.Context(), id, spec)
		if err != nil {
			return nil, err
		}
		defer u.Close()
		if _, err := u.Write(v.body()); err != nil {
			return nil, err
		}
		return nil, u.Commit(m.Context(), object, pre)
	})
	m.read(id, path)
}

func (m *modelRun) read(id mediastore.ContainerID, path mediastore.Path) {
	m.both("read "+string(path), func(e engine.Engine) (any, error) {
		r, err := e.OpenObject(m.Context(), id, path)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		body, err := io.ReadAll(io.NewSectionReader(r, 0, r.Object().Size))
		return fmt.Sprintf("%d bytes %x", len(body), sha256.Sum256(body)), err
	})
}

func (m *modelRun) deleteObject() {
	id, path, pre := m.id(), m.path(), m.precondition()
	m.both("DeleteObject "+string(path), func(e engine.Engine) (any, error) {
		return e.DeleteObject(m.Context(), id, path, pre)
	})
}

// moment is one of the next 100 seconds, and no other step's.
func (m *modelRun) moment() time.Time {
	return testEpoch.Add(time.Duration(m.random.IntN(100))*time.Second + time.Duration(m.steps))
}

// removeVersions means what is there, and some that is not.
func (m *modelRun) removeVersions() {
	id, at, silent := m.id(), m.moment(), m.random.IntN(2) == 0
	versions := []engine.VersionID{{Path: m.path(), ETag: "none"}}
	for range 4 {
		path := m.path()
		if o, err := m.model.StatObject(m.Context(), id, path); err == nil {
			versions = append(versions, engine.VersionID{Path: path, ETag: o.ETag})
		}
	}
	m.both("RemoveVersions", func(e engine.Engine) (any, error) {
		return e.RemoveVersions(m.Context(), id, versions, at, silent)
	})
}

func (m *modelRun) archive() {
	id, path, moved := m.id(), m.path(), m.random.IntN(2) == 0
	o, _ := m.model.StatObject(m.Context(), id, path)
	m.both("ArchiveVersion "+string(path), func(e engine.Engine) (any, error) {
		return nil, e.ArchiveVersion(m.Context(), id, engine.VersionID{Path: path, ETag: o.ETag}, moved)
	})
	m.read(id, path)
}

// sweep removes some of what is due.
func (m *modelRun) sweep() {
	at, limit := m.moment(), 1+m.random.IntN(5)
	due, _ := m.model.DueObjects(m.Context(), at, limit)
	m.both("DueObjects", func(e engine.Engine) (any, error) { return e.DueObjects(m.Context(), at, limit) })
	for _, d := range due {
		m.both("RemoveVersions", func(e engine.Engine) (any, error) {
			return e.RemoveVersions(m.Context(), d.Container, []engine.VersionID{{Path: d.Object.Path, ETag: d.Object.ETag}}, at, true)
		})
	}
}

func (m *modelRun) walk() {
	id, limit := m.id(), 1+m.random.IntN(4)
	m.both("WalkObjects", func(e engine.Engine) (any, error) {
		var all []mediastore.Object
		for after, more := mediastore.Path(""), true; more; {
			var page []mediastore.Object
			var err error
			if page, more, err = e.WalkObjects(m.Context(), id, after, limit); err != nil {
				return nil, err
			}
			if all = append(all, page...); more {
				after = page[len(page)-1].Path
			}
		}
		slices.SortFunc(all, func(a, b mediastore.Object) int { return cmp.Compare(a.Path, b.Path) })
		return all, nil
	})
}

func (m *modelRun) trim() {
	m.compareEvents()
	_, newest, _ := m.model.EventBounds(m.Context())
	upTo := m.random.Uint64N(newest + 2)
	m.both("TrimEvents", func(e engine.Engine) (any, error) { return nil, e.TrimEvents(m.Context(), upTo) })
	m.compareEvents()
}

func (m *modelRun) compareEvents() {
	m.both("EventBounds", func(e engine.Engine) (any, error) {
		oldest, newest, err := e.EventBounds(m.Context())
		return []uint64{oldest, newest}, err
	})
	m.both("ReadEvents", func(e engine.Engine) (any, error) {
		all, err := e.ReadEvents(m.Context(), 0, 10_000)
		return append([]event.Event{}, all...), err
	})
}

func (m *modelRun) leftovers() {
	at, limit := m.moment(), 1+m.random.IntN(5)
	names, _ := m.model.Leftovers(m.Context(), at, limit)
	m.both("Leftovers", func(e engine.Engine) (any, error) { return e.Leftovers(m.Context(), at, limit) })
	m.both("ForgetLeftovers", func(e engine.Engine) (any, error) { return nil, e.ForgetLeftovers(m.Context(), names) })
}

type page struct {
	Items []mediastore.Item
	More  bool
}

func (m *modelRun) list() {
	id, limit := m.id(), 1+m.random.IntN(4)
	folder, name := m.path().Split()
	after := engine.Position{Name: name, Folder: m.random.IntN(2) == 0}
	if m.random.IntN(2) == 0 {
		after = engine.Position{}
	}
	m.both(fmt.Sprintf("ListItems(%q)", folder), func(e engine.Engine) (any, error) {
		items, more, err := e.ListItems(m.Context(), id, folder, after, limit)
		return page{append([]mediastore.Item(nil), items...), more}, err
	})
}

// compareAll walks everything that the model has.
func (m *modelRun) compareAll() {
	m.both("ListContainers", func(e engine.Engine) (any, error) {
		all, _, err := e.ListContainers(m.Context(), testAccount, "", 100)
		return all, err
	})
	m.compareEvents()
	m.both("DueObjects", func(e engine.Engine) (any, error) {
		due, err := e.DueObjects(m.Context(), testEpoch.Add(time.Hour), 10_000)
		return append([]engine.Due{}, due...), err
	})
	for _, name := range m.elements[:2] {
		if c, err := m.model.Container(m.Context(), testAccount, mediastore.ContainerName(name)); err == nil {
			m.compareFolder(c.ID, "")
		}
	}
}

func (m *modelRun) compareFolder(id mediastore.ContainerID, folder mediastore.Folder) {
	m.both(fmt.Sprintf("ListItems(%q)", folder), func(e engine.Engine) (any, error) {
		items, more, err := e.ListItems(m.Context(), id, folder, engine.Position{}, 1000)
		return page{append([]mediastore.Item(nil), items...), more}, err
	})
	items, _, _ := m.model.ListItems(m.Context(), id, folder, engine.Position{}, 1000)
	for _, item := range items {
		if item.Folder {
			m.compareFolder(id, mediastore.Folder(folder.Join(item.Name)))
		} else {
			m.read(id, folder.Join(item.Name))
		}
	}
}
