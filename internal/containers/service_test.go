package containers_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"headwater/internal/containers"
	"headwater/internal/engine"
	"headwater/internal/engine/memory"
	"headwater/internal/mediastore"
)

const (
	account = mediastore.AccountID("111122223333")
	other   = mediastore.AccountID("444455556666")
	region  = "us-west-2"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newService returns a service over e with quotas of 3 containers and 2 metric
// rules.
func newService(t *testing.T, e engine.Containers) *containers.Service {
	t.Helper()
	var ids atomic.Int64
	s := containers.New(containers.Config{
		Engine: e,
		Region: region,
		Quotas: containers.Quotas{Containers: 3, MetricRules: 2},
		Now:    func() time.Time { return epoch },
		NewID:  func() mediastore.ContainerID { return mediastore.ContainerID(fmt.Sprintf("new%011d", ids.Add(1))) },
		Log:    slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { s.Close() })
	return s
}

// newEngine returns an empty memory engine.
func newEngine(t *testing.T) *memory.Engine {
	t.Helper()
	e := memory.New()
	t.Cleanup(func() { e.Close() })
	return e
}

// store puts a container into the engine as it is given, which lets it be where
// the service would not leave it.
func store(t *testing.T, e engine.Containers, c mediastore.Container) mediastore.Container {
	t.Helper()
	c.Account, c.Region, c.CreatedAt = account, region, epoch
	if c.ID == "" {
		c.ID = mediastore.ContainerID(fmt.Sprintf("%014s", c.Name))
	}
	if err := e.CreateContainer(t.Context(), c, 0); err != nil {
		t.Fatal(err)
	}
	return c
}

// active stores an ACTIVE container.
func active(t *testing.T, e engine.Containers, name mediastore.ContainerName) mediastore.Container {
	t.Helper()
	return store(t, e, mediastore.Container{Name: name, Status: mediastore.StatusActive})
}

func describe(t *testing.T, s *containers.Service, name mediastore.ContainerName) mediastore.Container {
	t.Helper()
	c, err := s.Describe(t.Context(), account, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, what string, err error, kind mediastore.Kind) {
	t.Helper()
	if !mediastore.IsKind(err, kind) {
		t.Errorf("%s: got %v, want kind %q", what, err, kind)
	}
}

// interposed is an engine with something in the way of some of its methods. A
// zero field is nothing in the way.
type interposed struct {
	engine.Containers
	update  func(context.Context) error // before UpdateContainer
	updated error                       // what UpdateContainer returns when all went well
	remove  func(context.Context) error // before RemoveContainer
	read    func()                      // after ContainerByID
}

func (e *interposed) UpdateContainer(ctx context.Context, a mediastore.AccountID, name mediastore.ContainerName, change func(*mediastore.Container) error) (mediastore.Container, error) {
	if e.update != nil {
		if err := e.update(ctx); err != nil {
			return mediastore.Container{}, err
		}
	}
	c, err := e.Containers.UpdateContainer(ctx, a, name, change)
	return c, cmp.Or(err, e.updated)
}

func (e *interposed) RemoveContainer(ctx context.Context, a mediastore.AccountID, name mediastore.ContainerName, at time.Time) error {
	if e.remove != nil {
		if err := e.remove(ctx); err != nil {
			return err
		}
	}
	return e.Containers.RemoveContainer(ctx, a, name, at)
}

func (e *interposed) ContainerByID(ctx context.Context, id mediastore.ContainerID) (mediastore.Container, error) {
	c, err := e.Containers.ContainerByID(ctx, id)
	if e.read != nil {
		e.read()
	}
	return c, err
}

// untilCancelled is an engine that takes forever, but heeds its context.
func untilCancelled(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
