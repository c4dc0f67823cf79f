package containers_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"headwater/internal/containers"
	"headwater/internal/mediastore"
)

func snapshot(t *testing.T, s *containers.Service, id mediastore.ContainerID) *containers.Snapshot {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func TestSnapshot(t *testing.T) {
	e := newEngine(t)
	s := newService(t, e)
	c := active(t, e, "movies")
	active(t, e, "other")

	first := snapshot(t, s, c.ID)
	if first.Policy != nil || first.Cors != nil || first.ARN != c.ARN() || first.Name != "movies" {
		t.Errorf("the snapshot is %+v", first)
	}
	if snapshot(t, s, c.ID) != first {
		t.Error("without a change, the snapshot was made twice")
	}
	must(t, s.PutDocument(t.Context(), account, "other", containers.ContainerPolicy, documents[containers.ContainerPolicy]))
	if snapshot(t, s, c.ID) != first {
		t.Error("a change of another container made a new snapshot")
	}

	for _, step := range []struct {
		name         string
		change       func() error
		policy, cors bool
		logging      bool
	}{
		{"put policy", func() error {
			return s.PutDocument(t.Context(), account, "movies", containers.ContainerPolicy, documents[containers.ContainerPolicy])
		}, true, false, false},
		{"put CORS", func() error {
			return s.PutDocument(t.Context(), account, "movies", containers.CorsPolicy, documents[containers.CorsPolicy])
		}, true, true, false},
		{"logging", func() error { return s.SetAccessLogging(t.Context(), account, "movies", true) }, true, true, true},
		{"delete policy", func() error { return s.DeleteDocument(t.Context(), account, "movies", containers.ContainerPolicy) }, false, true, true},
		{"delete CORS", func() error { return s.DeleteDocument(t.Context(), account, "movies", containers.CorsPolicy) }, false, false, true},
	} {
		must(t, step.change())
		got := snapshot(t, s, c.ID)
		if (got.Policy != nil) != step.policy || (got.Cors != nil) != step.cors || got.AccessLogging != step.logging {
			t.Errorf("%s: the snapshot is %+v", step.name, got)
		}
	}
	_, err := s.Snapshot(t.Context(), "nosuchcontaine")
	wantKind(t, "an unknown ID", err, mediastore.KindContainerNotFound)
}

// TestSnapshotNeverOutlivesAChange: a snapshot that was read before a change and
// is done only after it must not be kept for those who come later.
func TestSnapshotNeverOutlivesAChange(t *testing.T) {
	e := &interposed{Containers: newEngine(t)}
	s := newService(t, e)
	c := active(t, e, "movies")
	var once sync.Once
	e.read = func() {
		once.Do(func() {
			must(t, s.PutDocument(t.Context(), account, "movies", containers.ContainerPolicy, documents[containers.ContainerPolicy]))
		})
	}
	snapshot(t, s, c.ID) // began before the change: it may be of either side
	if snapshot(t, s, c.ID).Policy == nil {
		t.Error("the snapshot is from before a change that was acknowledged")
	}
}

// TestFailedChangeMayBeStored: a change that the engine reports as failed and has
// stored all the same, as when it is cut short while it waits for the disk, is
// carried out: a policy that can be read must not be one that does not hold.
func TestFailedChangeMayBeStored(t *testing.T) {
	e := &interposed{Containers: newEngine(t), updated: errors.New("nobody knows")}
	s := newService(t, e)
	c := active(t, e, "movies")
	snapshot(t, s, c.ID)
	err := s.PutDocument(t.Context(), account, "movies", containers.ContainerPolicy, documents[containers.ContainerPolicy])
	wantKind(t, "PutDocument", err, mediastore.KindInternal)
	if snapshot(t, s, c.ID).Policy == nil {
		t.Error("the snapshot is from before the change")
	}
}

// TestChangeIsSeenAtOnce: the policy that was acknowledged last, or one that came
// after it, is in every snapshot that is asked for from then on.
func TestChangeIsSeenAtOnce(t *testing.T) {
	e := newEngine(t)
	s := newService(t, e)
	c := active(t, e, "movies")
	var acknowledged atomic.Int64
	put := func(n int64) {
		text := strings.Replace(documents[containers.ContainerPolicy], `"Effect"`, fmt.Sprintf(`"Sid":"n%d","Effect"`, n), 1)
		must(t, s.PutDocument(t.Context(), account, "movies", containers.ContainerPolicy, text))
		acknowledged.Store(n)
	}
	put(1)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				least := acknowledged.Load()
				snap, err := s.Snapshot(t.Context(), c.ID)
				if err != nil {
					t.Error(err)
					return
				}
				if got := sid(t, snap); got < least {
					t.Errorf("the snapshot has policy %d although %d was acknowledged", got, least)
					return
				}
			}
		})
	}
	for n := range int64(500) {
		put(n + 2)
	}
	close(done)
	readers.Wait()
	if got := sid(t, snapshot(t, s, c.ID)); got != 501 {
		t.Errorf("in the end the snapshot has policy %d", got)
	}
}

// sid returns the number that a policy carries in its Sid.
func sid(t *testing.T, snap *containers.Snapshot) (n int64) {
	_, after, _ := strings.Cut(snap.Container.Policy, `"Sid":"n`)
	if _, err := fmt.Sscan(strings.SplitN(after, `"`, 2)[0], &n); err != nil {
		t.Error(err)
	}
	return n
}

// TestBrokenDocumentIsNotNone: a policy that can no longer be read must not open
// or close the container as if there were none.
func TestBrokenDocumentIsNotNone(t *testing.T) {
	for name, c := range map[string]mediastore.Container{
		"policy": {Name: "movies", Status: mediastore.StatusActive, Policy: "garbage"},
		"CORS":   {Name: "movies", Status: mediastore.StatusActive, Cors: "garbage"},
	} {
		e := newEngine(t)
		s := newService(t, e)
		c = store(t, e, c)
		_, err := s.Snapshot(t.Context(), c.ID)
		wantKind(t, name, err, mediastore.KindInternal)
	}
}
