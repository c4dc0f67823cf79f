package logstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"headwater/internal/engine"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

const (
	testAccount = mediastore.AccountID("111122223333")
	testID      = mediastore.ContainerID("aaaaaaaaaaaaaa")
)

var testEpoch = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func testContainer() mediastore.Container {
	return mediastore.Container{
		Account: testAccount, Region: "us-east-1", Name: "movies", ID: testID,
		Status: mediastore.StatusActive, CreatedAt: testEpoch,
	}
}

// version is what a path is to hold: a body that follows from seed and size, or
// nothing.
type version struct {
	absent   bool
	archived bool // the body is elsewhere
	seed     uint64
	size     int
}

func (v version) etag() mediastore.ETag { return mediastore.ETag(fmt.Sprintf("%d-%d", v.seed, v.size)) }

func (v version) body() []byte {
	b := make([]byte, v.size)
	rand.NewChaCha8([32]byte{byte(v.seed), byte(v.seed >> 8), byte(v.seed >> 16), byte(v.size)}).Read(b)
	return b
}

// history is what was done to paths. Each path has one writer, so its versions
// have an order: those up to acked are promised, those after it may have
// happened.
type history struct {
	mu struct {
		sync.Mutex
		paths map[mediastore.Path]*timeline
	}
}

type timeline struct {
	versions []version
	acked    int // index
}

func newHistory() *history {
	h := &history{}
	h.mu.paths = make(map[mediastore.Path]*timeline)
	return h
}

// begin notes what is about to be tried, ack that it was acknowledged.
func (h *history) begin(path mediastore.Path, v version) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.mu.paths[path]
	if t == nil {
		t = &timeline{versions: []version{{absent: true}}}
		h.mu.paths[path] = t
	}
	t.versions = append(t.versions, v)
}

func (h *history) ack(path mediastore.Path) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.mu.paths[path]
	t.acked = len(t.versions) - 1
}

// acked is which version of each path is promised now.
func (h *history) acked() map[mediastore.Path]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := make(map[mediastore.Path]int)
	for path, t := range h.mu.paths {
		m[path] = t.acked
	}
	return m
}

// possible returns, for each path, the versions from the one given on.
func (h *history) possible(from map[mediastore.Path]int) map[mediastore.Path][]version {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := make(map[mediastore.Path][]version)
	for path, t := range h.mu.paths {
		m[path] = append([]version(nil), t.versions[from[path]:]...)
	}
	return m
}

// put and remove do something to a path and note it.
func (h *history) put(ctx context.Context, e *Engine, path mediastore.Path, v version, random *rand.Rand) error {
	body := v.body()
	spec := engine.UploadSpec{Path: path, Size: int64(len(body))}
	if random.IntN(2) == 0 {
		spec.Size = -1
	}
	if random.IntN(3) == 0 {
		spec.ExpiresAt = testEpoch.Add(time.Duration(random.IntN(30)) * time.Second)
	}
	u, err := e.NewUpload(ctx, testID, spec)
	if err != nil {
		return err
	}
	defer u.Close()
	for rest := body; len(rest) > 0; {
		n := min(len(rest), 1+random.IntN(100_000))
		if _, err := u.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if random.IntN(10) == 0 {
		return nil // change our mind
	}
	h.begin(path, v)
	object := mediastore.Object{ETag: v.etag(), ContentType: "video/mp4", LastModified: testEpoch, ExpiresAt: spec.ExpiresAt}
	if err := u.Commit(ctx, object, mediastore.Precondition{At: testEpoch.Add(-1)}); err != nil {
		return err
	}
	h.ack(path)
	return nil
}

func (h *history) remove(ctx context.Context, e *Engine, path mediastore.Path) error {
	h.begin(path, version{absent: true})
	_, err := e.DeleteObject(ctx, testID, path, mediastore.Precondition{At: testEpoch.Add(-1)})
	if err != nil && !mediastore.IsKind(err, mediastore.KindObjectNotFound) {
		return err
	}
	h.ack(path)
	return nil
}

// sweep removes the version that was acknowledged last.
func (h *history) sweep(ctx context.Context, e *Engine, path mediastore.Path) error {
	v := h.last(path)
	if v.absent {
		return nil
	}
	h.begin(path, version{absent: true})
	_, err := e.RemoveVersions(ctx, testID, []engine.VersionID{{Path: path, ETag: v.etag()}}, testEpoch, false)
	if err != nil {
		return err
	}
	h.ack(path)
	return nil
}

// archive takes the bytes of the version that was acknowledged last away.
func (h *history) archive(ctx context.Context, e *Engine, path mediastore.Path) error {
	v := h.last(path)
	if v.absent {
		return nil
	}
	v.archived = true
	h.begin(path, v)
	if err := e.ArchiveVersion(ctx, testID, engine.VersionID{Path: path, ETag: v.etag()}, true); err != nil {
		return err
	}
	h.ack(path)
	return nil
}

// last is the version that was tried last, when it was acknowledged.
func (h *history) last(path mediastore.Path) version {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.mu.paths[path]
	if t == nil || t.acked != len(t.versions)-1 {
		return version{absent: true}
	}
	return t.versions[t.acked]
}

// step does one random thing to one of the paths of a writer.
func (h *history) step(ctx context.Context, e *Engine, writer string, random *rand.Rand) error {
	path := mediastore.Path(fmt.Sprintf("%s/%d/%d", writer, random.IntN(2), random.IntN(3)))
	switch random.IntN(12) {
	case 0, 1, 2:
		return h.remove(ctx, e, path)
	case 3:
		return h.sweep(ctx, e, path)
	case 4:
		return h.archive(ctx, e, path)
	}
	sizes := []int{0, 100, 3000, 30_000, 30_000, 40_000, 70_000, 300_000}
	v := version{seed: random.Uint64N(1 << 24), size: sizes[random.IntN(len(sizes))]}
	return h.put(ctx, e, path, v, random)
}

// verify holds a store against what is possible, and against itself.
func verify(t testing.TB, e *Engine, possible map[mediastore.Path][]version) {
	t.Helper()
	if err := e.check(true); err != nil {
		t.Errorf("check: %v", err)
	}
	last, err := lastEvents(t.Context(), e)
	if err != nil {
		t.Errorf("events: %v", err)
	}
	for path, versions := range possible {
		if err := verifyPath(t, e, path, versions); err != nil {
			t.Errorf("%s: %v; possible are %+v", path, err, versions)
		}
		if err := verifyEvent(t.Context(), e, path, last[path]); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// lastEvents returns the newest event of each path.
func lastEvents(ctx context.Context, e *Engine) (map[mediastore.Path]event.Event, error) {
	all, err := e.ReadEvents(ctx, 0, 1_000_000)
	last := make(map[mediastore.Path]event.Event)
	for _, ev := range all {
		last[ev.Path] = ev
	}
	return last, err
}

// verifyEvent: what a path holds is what its last event says, so no change is
// without its event and no event without its change.
func verifyEvent(ctx context.Context, e *Engine, path mediastore.Path, last event.Event) error {
	o, err := e.StatObject(ctx, testID, path)
	switch {
	case err != nil && (last.Kind == 0 || last.Kind == event.ObjectRemoved):
		return nil
	case err == nil && last.Kind == event.ObjectUpdated && last.ETag == o.ETag:
		return nil
	}
	return fmt.Errorf("is %q (error: %w), and the last event is %+v", o.ETag, err, last)
}

func verifyPath(t testing.TB, e *Engine, path mediastore.Path, versions []version) error {
	r, err := e.OpenObject(t.Context(), testID, path)
	missing := mediastore.IsKind(err, mediastore.KindObjectNotFound) || mediastore.IsKind(err, mediastore.KindContainerNotFound)
	if err != nil && !missing {
		return err
	}
	if missing {
		for _, v := range versions {
			if v.absent {
				return nil
			}
		}
		return errors.New("is lost")
	}
	defer r.Close()
	if r.Object().Archived {
		return verifyArchived(r.Object().ETag, versions)
	}
	body, err := io.ReadAll(io.NewSectionReader(r, 0, r.Object().Size))
	if err != nil {
		return err
	}
	for _, v := range versions {
		if !v.absent && !v.archived && v.etag() == r.Object().ETag && bytes.Equal(v.body(), body) {
			return nil
		}
	}
	return fmt.Errorf("holds %s, %d bytes, which it should not", r.Object().ETag, len(body))
}

func verifyArchived(etag mediastore.ETag, versions []version) error {
	for _, v := range versions {
		if v.archived && v.etag() == etag {
			return nil
		}
	}
	return fmt.Errorf("%s is archived, which it should not be", etag)
}

// mustPut makes the test's container when there is none and puts an object.
func mustPut(t testing.TB, e *Engine, path mediastore.Path, size int) {
	t.Helper()
	if err := tryPut(context.Background(), e, path, size); err != nil {
		t.Fatal(err)
	}
}

func tryPut(ctx context.Context, e *Engine, path mediastore.Path, size int) error {
	if err := e.CreateContainer(ctx, testContainer(), 0); err != nil && !mediastore.IsKind(err, mediastore.KindContainerInUse) {
		return err
	}
	v := version{seed: uint64(len(path)), size: size}
	u, err := e.NewUpload(ctx, testID, engine.UploadSpec{Path: path, Size: int64(size)})
	if err != nil {
		return err
	}
	defer u.Close()
	if _, err := u.Write(v.body()); err != nil {
		return err
	}
	object := mediastore.Object{ETag: v.etag(), ContentType: "video/mp4", LastModified: testEpoch}
	return u.Commit(ctx, object, mediastore.Precondition{})
}
