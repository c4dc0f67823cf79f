package containers

import (
	"context"
	"sync"

	"headwater/internal/cors"
	"headwater/internal/lifecycle"
	"headwater/internal/mediastore"
	"headwater/internal/metricpolicy"
	"headwater/internal/policy"
)

// Snapshot is an ACTIVE container with the documents that a data-plane request
// needs, compiled. It is immutable and shared.
type Snapshot struct {
	mediastore.Container
	ARN       string
	Policy    *policy.Document     // nil when there is none
	Cors      *cors.Policy         // likewise
	Lifecycle *lifecycle.Policy    // likewise
	Metric    *metricpolicy.Policy // likewise
}

// snapshots caches them. A change forgets the container's; changes counts
// forgettings, so that a snapshot that was read before a change is not kept
// after it.
type snapshots struct {
	mu struct {
		sync.RWMutex
		byID    map[mediastore.ContainerID]*Snapshot
		changes int
	}
}

func (ss *snapshots) get(id mediastore.ContainerID) (snap *Snapshot, changes int) {
	ss.mu.RLock()
	defer ss.mu.RUnlock()
	return ss.mu.byID[id], ss.mu.changes
}

// keep stores a snapshot that was read after the given number of changes.
func (ss *snapshots) keep(snap *Snapshot, changes int) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.mu.changes != changes {
		return
	}
	if ss.mu.byID == nil {
		ss.mu.byID = make(map[mediastore.ContainerID]*Snapshot)
	}
	ss.mu.byID[snap.ID] = snap
}

func (ss *snapshots) forget(id mediastore.ContainerID) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.mu.changes++
	delete(ss.mu.byID, id)
}

// Snapshot returns the ACTIVE container with that ID. In any other status it
// does not exist on the data plane.
func (s *Service) Snapshot(ctx context.Context, id mediastore.ContainerID) (*Snapshot, error) {
	cached, changes := s.snapshots.get(id)
	if cached != nil {
		return cached, nil
	}
	c, err := s.Engine.ContainerByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.Status != mediastore.StatusActive {
		return nil, mediastore.Errorf(mediastore.KindContainerNotFound, "Container not found: %s", id)
	}
	snap, err := compile(c)
	if err != nil {
		return nil, err
	}
	s.snapshots.keep(snap, changes)
	return snap, nil
}

// compile prepares the documents. They were valid when they were put; one that
// is not any more must not be taken for none, so it is an error.
func compile(c mediastore.Container) (*Snapshot, error) {
	snap := &Snapshot{Container: c, ARN: c.ARN()}
	for _, err := range []error{
		parse(&snap.Policy, "container policy", &c, c.Policy, policy.Parse),
		parse(&snap.Cors, "CORS policy", &c, c.Cors, cors.Parse),
		parse(&snap.Lifecycle, "lifecycle policy", &c, c.Lifecycle, lifecycle.Parse),
		parse(&snap.Metric, "metric policy", &c, c.Metric, func(text []byte) (*metricpolicy.Policy, error) {
			return metricpolicy.Parse(text, metricpolicy.MaxRules) // whatever the quota is by now
		}),
	} {
		if err != nil {
			return nil, err
		}
	}
	return snap, nil
}

// parse parses a document into its place, when there is one.
func parse[T any](place **T, document string, c *mediastore.Container, text string, how func([]byte) (*T, error)) error {
	if text == "" {
		return nil
	}
	var err error
	if *place, err = how([]byte(text)); err != nil {
		return unreadable(document, c.Name, err)
	}
	return nil
}

// unreadable hides the kind of err: whoever reads an object is not to blame.
func unreadable(document string, name mediastore.ContainerName, err error) error {
	return &mediastore.Error{Op: "containers: " + document + " of " + string(name), Kind: mediastore.KindInternal, Err: err}
}
