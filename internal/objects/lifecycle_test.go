package objects_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"headwater/internal/engine"
	"headwater/internal/engine/memory"
	"headwater/internal/mediastore"
	"headwater/internal/objects"
)

// clocked is a service whose time the test sets.
type clocked struct {
	*objects.Service
	engine *memory.Engine
	now    time.Time
	cold   map[string]string // the cold tier, nil for one that does not answer
}

func clockedService(t *testing.T, tier bool) *clocked {
	t.Helper()
	c := &clocked{engine: memory.New(), now: epoch, cold: map[string]string{}}
	t.Cleanup(func() { c.engine.Close() })
	err := c.engine.CreateContainer(t.Context(), mediastore.Container{Name: "movies", ID: id, Status: mediastore.StatusActive}, 0)
	if err != nil {
		t.Fatal(err)
	}
	config := objects.Config{
		Engine: c.engine,
		Quotas: objects.Quotas{Path: mediastore.DefaultPathLimits, ObjectSize: 1000, StreamingSize: 500, Uploads: 4},
		Now:    func() time.Time { return c.now },
		Random: rand.Reader,
	}
	if tier {
		config.OpenArchived = c.openCold
	}
	c.Service = objects.New(config)
	return c
}

func (c *clocked) openCold(_ context.Context, name string, size int64) (objects.Bytes, error) {
	body, ok := c.cold[name]
	if !ok || int64(len(body)) != size {
		return nil, errors.New("the disk /mnt/cold is gone")
	}
	return cold{strings.NewReader(body)}, nil
}

type cold struct{ io.ReaderAt }

func (cold) Close() error { return nil }

// after is an expiry so long after storing.
func after(d time.Duration) func(*objects.PutRequest) {
	return func(r *objects.PutRequest) {
		r.Expiry = func(stored time.Time) time.Time { return stored.Add(d) }
	}
}

// TestExpiryToTheMillisecond: nobody sweeps here, and still the object is gone at
// the moment and not before it.
func TestExpiryToTheMillisecond(t *testing.T) {
	s := clockedService(t, false)
	if _, err := put(s.Service, "a/b", "one", after(16*time.Second)); err != nil {
		t.Fatal(err)
	}
	s.now = epoch.Add(16*time.Second - time.Nanosecond)
	if got := read(t, s.Service, "a/b"); got != "one" {
		t.Errorf("just before: %q", got)
	}
	obj, _, err := s.Describe(t.Context(), id, "a/b")
	if err != nil || !obj.ExpiresAt.Equal(epoch.Add(16*time.Second)) {
		t.Errorf("Describe = %v, %v", obj.ExpiresAt, err)
	}
	if items, _, err := s.List(t.Context(), id, "", engine.Position{}, 10); err != nil || len(items) > 0 {
		t.Errorf("it is listed: %v, %v", items, err)
	}

	s.now = epoch.Add(16 * time.Second)
	_, err = s.Open(t.Context(), id, "a/b")
	wantKind(t, "Open", err, mediastore.KindObjectNotFound)
	_, _, err = s.Describe(t.Context(), id, "a/b")
	wantKind(t, "Describe", err, mediastore.KindObjectNotFound)
	_, err = s.Delete(t.Context(), id, "a/b", mediastore.Precondition{})
	wantKind(t, "Delete", err, mediastore.KindObjectNotFound)
	_, err = put(s.Service, "a/b", "two", func(r *objects.PutRequest) { r.Precondition.MatchAny = true })
	wantKind(t, "a put over what should be there", err, mediastore.KindPreconditionFailed)
	if _, err := put(s.Service, "a/b", "two", func(r *objects.PutRequest) { r.Precondition.NoneMatchAny = true }); err != nil {
		t.Errorf("a put where nothing should be: %v", err)
	}
	if got := read(t, s.Service, "a/b"); got != "two" {
		t.Errorf("at last: %q", got)
	}
}

// TestExpiryCountsFromTheEnd: an upload that takes longer than the object may
// live is stored all the same, and lives as long as any.
func TestExpiryCountsFromTheEnd(t *testing.T) {
	for _, change := range []func(*objects.PutRequest){streaming, func(*objects.PutRequest) {}} {
		s := clockedService(t, false)
		slow := readerFunc(func([]byte) (int, error) { s.now = epoch.Add(time.Minute); return 0, io.EOF })
		obj, err := put(s.Service, "a", "", change, after(10*time.Second), func(r *objects.PutRequest) {
			r.Size, r.Body = -1, io.MultiReader(strings.NewReader("body"), slow)
		})
		if err != nil || !obj.ExpiresAt.Equal(epoch.Add(70*time.Second)) {
			t.Errorf("it expires at %v, %v", obj.ExpiresAt, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestReaderGoesOnAfterExpiry: who has begun to read in time reads to the end.
func TestReaderGoesOnAfterExpiry(t *testing.T) {
	s := clockedService(t, false)
	if _, err := put(s.Service, "a", "hello", after(time.Second)); err != nil {
		t.Fatal(err)
	}
	v, err := s.Open(t.Context(), id, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	s.now = epoch.Add(time.Hour)
	due, err := s.engine.DueObjects(t.Context(), s.now, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("DueObjects = %v, %v", due, err)
	}
	if _, err := s.engine.RemoveVersions(t.Context(), id, []engine.VersionID{{Path: "a", ETag: v.Object.ETag}}, s.now, true); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if n, _ := v.ReadAt(b, 0); string(b[:n]) != "hello" {
		t.Errorf("read %q", b[:n])
	}
}

func TestArchived(t *testing.T) {
	s := clockedService(t, true)
	obj, err := put(s.Service, "a", "hello")
	if err != nil {
		t.Fatal(err)
	}
	s.cold[string(id)+"/"+string(obj.ETag)] = "hello"
	if err := s.engine.ArchiveVersion(t.Context(), id, engine.VersionID{Path: "a", ETag: obj.ETag}, true); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s.Service, "a"); got != "hello" {
		t.Errorf("read %q", got)
	}
	obj, _, err = s.Describe(t.Context(), id, "a")
	if err != nil || obj.StorageClass() != mediastore.ClassInfrequentAccess || obj.Size != 5 {
		t.Errorf("Describe = %+v, %v", obj, err)
	}

	clear(s.cold)
	_, err = s.Open(t.Context(), id, "a")
	wantKind(t, "a tier that is down", err, mediastore.KindUnavailable)
	var e *mediastore.Error
	if !errors.As(err, &e) || strings.Contains(e.Public(), "/mnt") {
		t.Errorf("a client is told %v", err)
	}
}

func TestArchivedWithoutTier(t *testing.T) {
	s := clockedService(t, false)
	obj, err := put(s.Service, "a", "hello")
	if err != nil {
		t.Fatal(err)
	}
	v := engine.VersionID{Path: "a", ETag: obj.ETag}
	if err := s.engine.ArchiveVersion(t.Context(), id, v, false); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s.Service, "a"); got != "hello" {
		t.Errorf("a marked object: read %q", got)
	}
	if err := s.engine.ArchiveVersion(t.Context(), id, v, true); err != nil {
		t.Fatal(err)
	}
	_, err = s.Open(t.Context(), id, "a")
	wantKind(t, "moved to a tier that is not configured any more", err, mediastore.KindUnavailable)
}
