package sweep_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headwater/internal/engine"
	"headwater/internal/engine/memory"
	"headwater/internal/event"
	"headwater/internal/lifecycle"
	"headwater/internal/mediastore"
	"headwater/internal/sweep"
)

const (
	id      mediastore.ContainerID = "aaaaaaaaaaaaaa"
	otherID mediastore.ContainerID = "bbbbbbbbbbbbbb"
	account mediastore.AccountID   = "123456789012"

	day = 24 * time.Hour
)

// world is an engine, a tier and what the sweeper told, in a bubble of time.
type world struct {
	*memory.Engine
	t      *testing.T
	config sweep.Config
	tier   *tier
	heard  *listener
	log    *lines
	etags  int

	mu struct {
		sync.Mutex
		calls []call
		fail  func(call) error // before a call of the engine, one at a time
	}
}

// call is one of the engine by the sweeper.
type call struct {
	op   string
	id   mediastore.ContainerID
	path mediastore.Path // a walk's place, the first version's
	n    int             // how many versions
}

// inWorld runs a test in a bubble of time, with the container id and, at first,
// no tier.
func inWorld(t *testing.T, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Engine: memory.New(), t: t, tier: &tier{bytes: map[string]string{}}, heard: &listener{}, log: &lines{}}
		defer w.Close()
		w.addContainer(id)
		w.config = sweep.Config{
			Engine: w, Each: w.each, Listener: w.heard, Now: time.Now,
			Log: slog.New(slog.NewTextHandler(w.log, nil)),
		}
		test(w)
	})
}

func (w *world) addContainer(id mediastore.ContainerID) {
	w.t.Helper()
	c := mediastore.Container{Account: account, Name: mediastore.ContainerName(id), ID: id, Status: mediastore.StatusActive, CreatedAt: time.Now()}
	if err := w.CreateContainer(w.t.Context(), c, 0); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) each(ctx context.Context, visit func(mediastore.Container) error) error {
	if err := w.before(call{op: "each"}); err != nil {
		return err
	}
	all, _, err := w.ListContainers(ctx, account, "", 1000)
	for _, c := range all {
		if err := visit(c); err != nil {
			return err
		}
	}
	return err
}

// setPolicy sets the lifecycle policy of a container without a kick.
func (w *world) setPolicy(id mediastore.ContainerID, text string) {
	w.t.Helper()
	_, err := w.UpdateContainer(w.t.Context(), account, mediastore.ContainerName(id), func(c *mediastore.Container) error {
		c.Lifecycle = text
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// put stores an object of an age, as the object service does it.
func (w *world) put(id mediastore.ContainerID, path mediastore.Path, age time.Duration) mediastore.Object {
	w.t.Helper()
	ctx := w.t.Context()
	c, err := w.Engine.ContainerByID(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	w.etags++
	body := fmt.Sprintf("bytes of version %d", w.etags)
	obj := mediastore.Object{
		Path: path, ETag: mediastore.ETag(fmt.Sprintf("%032x", w.etags)), Size: int64(len(body)),
		SHA256: sha256.Sum256([]byte(body)), LastModified: time.Now().Add(-age),
	}
	if c.Lifecycle != "" {
		policy, err := lifecycle.Parse([]byte(c.Lifecycle))
		if err != nil {
			w.t.Fatal(err)
		}
		obj.ExpiresAt, _ = policy.TransientExpiry(path, obj.LastModified)
	}
	u, err := w.NewUpload(ctx, id, engine.UploadSpec{Path: path, Size: obj.Size})
	if err != nil {
		w.t.Fatal(err)
	}
	defer u.Close()
	if _, err := io.WriteString(u, body); err != nil {
		w.t.Fatal(err)
	}
	if err := u.Commit(ctx, obj, mediastore.Precondition{At: time.Now()}); err != nil {
		w.t.Fatal(err)
	}
	return obj
}

// start runs a sweeper. stop ends it and waits for it.
func (w *world) start() (s *sweep.Sweeper, stop func()) {
	s = sweep.New(w.config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	return s, func() { cancel(); <-done }
}

// sweepFor runs a sweeper for so long, and what it does at that moment.
func (w *world) sweepFor(d time.Duration) {
	_, stop := w.start()
	time.Sleep(d)
	synctest.Wait()
	stop()
}

// stat returns the current version at a path, nil for none.
func (w *world) stat(id mediastore.ContainerID, path mediastore.Path) *mediastore.Object {
	w.t.Helper()
	obj, err := w.StatObject(w.t.Context(), id, path)
	if mediastore.IsKind(err, mediastore.KindObjectNotFound) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return &obj
}

// paths are those of all objects of a container, transient ones not.
func (w *world) paths(id mediastore.ContainerID) (all []mediastore.Path) {
	w.t.Helper()
	objects, _, err := w.Engine.WalkObjects(w.t.Context(), id, "", 1e6)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range objects {
		all = append(all, o.Path)
	}
	return all
}

// removed are the paths of the events of objects that were removed.
func (w *world) removed() (paths []mediastore.Path) {
	w.t.Helper()
	events, err := w.ReadEvents(w.t.Context(), 0, 1e6)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == event.ObjectRemoved {
			paths = append(paths, e.Path)
		}
	}
	return paths
}

// leftovers are the names of all.
func (w *world) leftovers() []string {
	w.t.Helper()
	names, err := w.Engine.Leftovers(w.t.Context(), time.Now().Add(1000*day), 1e6)
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

// useTier configures the tier.
func (w *world) useTier() { w.config.Archive = w.tier }

func (w *world) failWhen(fail func(call) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.fail = fail
}

// calls are those of an operation.
func (w *world) calls(op string) (some []call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.mu.calls {
		if c.op == op {
			some = append(some, c)
		}
	}
	return some
}

func (w *world) before(c call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.calls = append(w.mu.calls, c)
	if w.mu.fail != nil {
		return w.mu.fail(c)
	}
	return nil
}

// The calls of the engine that tests look at, or make fail.

func (w *world) DueObjects(ctx context.Context, t time.Time, limit int) ([]engine.Due, error) {
	if err := w.before(call{op: "due", n: limit}); err != nil {
		return nil, err
	}
	return w.Engine.DueObjects(ctx, t, limit)
}

func (w *world) WalkObjects(ctx context.Context, id mediastore.ContainerID, after mediastore.Path, limit int) ([]mediastore.Object, bool, error) {
	if err := w.before(call{op: "walk", id: id, path: after, n: limit}); err != nil {
		return nil, false, err
	}
	return w.Engine.WalkObjects(ctx, id, after, limit)
}

func (w *world) RemoveVersions(ctx context.Context, id mediastore.ContainerID, versions []engine.VersionID, at time.Time, silent bool) ([]mediastore.Object, error) {
	if err := w.before(call{op: "remove", id: id, path: versions[0].Path, n: len(versions)}); err != nil {
		return nil, err
	}
	return w.Engine.RemoveVersions(ctx, id, versions, at, silent)
}

func (w *world) ArchiveVersion(ctx context.Context, id mediastore.ContainerID, v engine.VersionID, moved bool) error {
	if err := w.before(call{op: "archive", id: id, path: v.Path}); err != nil {
		return err
	}
	return w.Engine.ArchiveVersion(ctx, id, v, moved)
}

func (w *world) OpenObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (engine.Reader, error) {
	if err := w.before(call{op: "open", id: id, path: path}); err != nil {
		return nil, err
	}
	return w.Engine.OpenObject(ctx, id, path)
}

func (w *world) NoteLeftover(ctx context.Context, name string, since time.Time) error {
	if err := w.before(call{op: "note"}); err != nil {
		return err
	}
	return w.Engine.NoteLeftover(ctx, name, since)
}

func (w *world) SetMark(ctx context.Context, name string, value []byte) error {
	if err := w.before(call{op: "mark"}); err != nil {
		return err
	}
	return w.Engine.SetMark(ctx, name, value)
}

// tier is a cold tier in memory.
type tier struct {
	mu    sync.Mutex
	bytes map[string]string
	puts  int
	fail  func(op, name string) error
	after func(name string) // a Put that went well
}

func (t *tier) asked(op, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return t.fail(op, name)
	}
	return nil
}

func (t *tier) Put(_ context.Context, name string, body io.Reader, size int64, sum [32]byte) error {
	if err := t.asked("put", name); err != nil {
		return err
	}
	all, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if int64(len(all)) != size || sha256.Sum256(all) != sum {
		return fmt.Errorf("%d bytes of %d, %q", len(all), size, all)
	}
	t.mu.Lock()
	t.bytes[name] = string(all)
	t.puts++
	t.mu.Unlock()
	if t.after != nil {
		t.after(name)
	}
	return nil
}

func (t *tier) Remove(_ context.Context, name string) error {
	if err := t.asked("remove", name); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.bytes, name)
	return nil
}

func (t *tier) names() (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.bytes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (t *tier) setFail(fail func(op, name string) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = fail
}

// listener adds up what it is told.
type listener struct {
	mu      sync.Mutex
	objects map[sweep.What]int
	bytes   map[sweep.What]int64
	failed  map[sweep.What]int
	passes  []pass
}

type pass struct {
	what    sweep.What
	took    time.Duration
	objects int
}

func (l *listener) Swept(what sweep.What, objects int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.objects == nil {
		l.objects, l.bytes = map[sweep.What]int{}, map[sweep.What]int64{}
	}
	l.objects[what] += objects
	l.bytes[what] += bytes
}

func (l *listener) Failed(what sweep.What, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = map[sweep.What]int{}
	}
	l.failed[what]++
}

func (l *listener) Pass(what sweep.What, took time.Duration, objects int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passes = append(l.passes, pass{what, took, objects})
}

func (l *listener) swept(what sweep.What) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.objects[what]
}

// passed returns the passes so far.
func (l *listener) passed() []pass {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.passes)
}

func (l *listener) failures(what sweep.What) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed[what]
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(substring string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), substring)
}

// rule returns a rule: paths are prefixes unless they have a star, the condition
// is one of seconds when it ends in s, of days when in d.
func rule(action, condition string, paths ...string) string {
	var entries []string
	for _, path := range paths {
		kind := "prefix"
		if strings.Contains(path, "*") {
			kind = "wildcard"
		}
		entries = append(entries, fmt.Sprintf(`{"%s":"%s"}`, kind, path))
	}
	operator, number, _ := strings.Cut(condition, " ")
	unit := map[byte]string{'s': "seconds", 'd': "days"}[number[len(number)-1]]
	return fmt.Sprintf(`{"definition":{"path":[%s],"%s_since_create":[{"numeric":["%s",%s]}]},"action":"%s"}`,
		strings.Join(entries, ","), unit, operator, number[:len(number)-1], action)
}

func rules(all ...string) string { return `{"rules":[` + strings.Join(all, ",") + `]}` }

var errDisk = errors.New("the disk is on fire")

// equal reports two lists that differ.
func equal[T cmp.Ordered](t *testing.T, what string, got []T, want ...T) {
	t.Helper()
	got = slices.Clone(got)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func sortByAge[T any](all []T, age func(T) time.Duration) {
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(age(a), age(b)) })
}
