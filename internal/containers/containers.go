// Package containers holds the use cases of the control plane: the life of a
// container, its four documents, its tags and its access logging switch; and,
// for the data plane, a cached snapshot of a container with its documents
// compiled.
//
// It must not know a protocol, and nothing about who is calling.
package containers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// Quotas bound what an account may have.
type Quotas struct {
	Containers  int // containers in an account
	MetricRules int // rules in a metric policy
}

// Config is what a Service is made of. Time and identifiers are given in.
type Config struct {
	Engine engine.Containers
	Region string
	Quotas Quotas
	Now    func() time.Time
	NewID  func() mediastore.ContainerID
	Log    *slog.Logger
	// Changed, unless nil, is told how a container was before a change of its
	// documents, switches or tags and how it is after it, and of one that is being
	// deleted.
	Changed func(before, after mediastore.Container)
	// Expire, unless nil, removes what has expired. A container is not in use
	// because of objects that nobody can read any more.
	Expire func(context.Context) error
}

// Service carries the use cases out. Close it to end what it does in the
// background.
type Service struct {
	Config
	snapshots  snapshots
	background sync.WaitGroup
	ctx        context.Context
	stop       context.CancelFunc
}

// New returns a service over an engine.
func New(config Config) *Service {
	ctx, stop := context.WithCancel(context.Background())
	return &Service{Config: config, ctx: ctx, stop: stop}
}

// Close waits for container creations and deletions that are under way. What it
// cuts short, Resume takes up at the next start.
func (s *Service) Close() error {
	s.stop()
	s.background.Wait()
	return nil
}

// Create makes a container. It is in StatusCreating when this returns, and
// ACTIVE soon after.
func (s *Service) Create(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, tags []mediastore.Tag) (mediastore.Container, error) {
	merged, err := mergeTags(nil, tags)
	if err != nil {
		return mediastore.Container{}, err
	}
	c := mediastore.Container{
		Account:   account,
		Region:    s.Region,
		Name:      name,
		ID:        s.NewID(),
		Status:    mediastore.StatusCreating,
		CreatedAt: s.Now(),
		Tags:      merged,
	}
	c.Policy = defaultPolicy(&c)
	if err := s.Engine.CreateContainer(ctx, c, s.Quotas.Containers); err != nil {
		return mediastore.Container{}, err
	}
	s.background.Go(func() { s.activate(account, name) })
	return c, nil
}

// defaultPolicy is what every new container carries: the account may do
// everything, over TLS.
func defaultPolicy(c *mediastore.Container) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"MediaStoreFullAccess","Effect":"Allow",` +
		`"Principal":{"AWS":"arn:aws:iam::` + string(c.Account) + `:root"},"Action":"mediastore:*",` +
		`"Resource":"` + c.ARN() + `/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`
}

func (s *Service) activate(account mediastore.AccountID, name mediastore.ContainerName) {
	_, err := s.Engine.UpdateContainer(s.ctx, account, name, func(c *mediastore.Container) error {
		if c.Status == mediastore.StatusCreating {
			c.Status = mediastore.StatusActive
		}
		return nil
	})
	s.logBackground("activate", name, err)
}

// Delete begins to delete a container, which must be empty. It is gone soon
// after.
func (s *Service) Delete(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) error {
	if s.Expire != nil {
		if err := s.Expire(ctx); err != nil {
			return err
		}
	}
	c, err := s.Engine.BeginDeleteContainer(ctx, account, name)
	if err != nil {
		return err
	}
	s.snapshots.forget(c.ID)
	s.changed(c, c)
	s.background.Go(func() { s.remove(account, name) })
	return nil
}

func (s *Service) remove(account mediastore.AccountID, name mediastore.ContainerName) {
	err := s.Engine.RemoveContainer(s.ctx, account, name, s.Now())
	s.logBackground("remove", name, err)
}

func (s *Service) logBackground(what string, name mediastore.ContainerName, err error) {
	if err != nil && s.ctx.Err() == nil {
		s.Log.Error("container change failed; it is taken up again at the next start", "change", what, "container", name, "error", err)
	}
}

// Resume finishes the creations and deletions that an earlier run left behind.
func (s *Service) Resume(ctx context.Context, account mediastore.AccountID) error {
	for after, more := mediastore.ContainerName(""), true; more; {
		page, m, err := s.Engine.ListContainers(ctx, account, after, 100)
		if err != nil {
			return err
		}
		for _, c := range page {
			switch c.Status {
			case mediastore.StatusCreating:
				s.activate(account, c.Name)
			case mediastore.StatusDeleting:
				s.remove(account, c.Name)
			}
			after = c.Name
		}
		more = m
	}
	return nil
}

// Describe returns a container by name.
func (s *Service) Describe(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) (mediastore.Container, error) {
	return s.Engine.Container(ctx, account, name)
}

// List returns up to limit containers that come after a name, and whether there
// are more.
func (s *Service) List(ctx context.Context, account mediastore.AccountID, after mediastore.ContainerName, limit int) ([]mediastore.Container, bool, error) {
	return s.Engine.ListContainers(ctx, account, after, limit)
}

// SetAccessLogging switches access logging on or off.
func (s *Service) SetAccessLogging(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, on bool) error {
	return s.update(ctx, account, name, func(c *mediastore.Container) error {
		c.AccessLogging = on
		return nil
	})
}

// update changes an ACTIVE container; in any other status it is in use. The
// snapshot is forgotten after an error, too: an engine that failed may have
// stored the change all the same.
func (s *Service) update(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, change func(*mediastore.Container) error) error {
	var before mediastore.Container
	after, err := s.Engine.UpdateContainer(ctx, account, name, func(c *mediastore.Container) error {
		before = c.Clone()
		if err := checkActive(c); err != nil {
			return err
		}
		return change(c)
	})
	s.snapshots.forget(before.ID)
	if err == nil {
		s.changed(before, after)
	}
	return err
}

func (s *Service) changed(before, after mediastore.Container) {
	if s.Changed != nil {
		s.Changed(before, after)
	}
}

// active returns an ACTIVE container; in any other status it is in use.
func (s *Service) active(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) (mediastore.Container, error) {
	c, err := s.Engine.Container(ctx, account, name)
	if err != nil {
		return c, err
	}
	return c, checkActive(&c)
}

func checkActive(c *mediastore.Container) error {
	if c.Status != mediastore.StatusActive {
		return mediastore.Errorf(mediastore.KindContainerInUse, "The container is not ACTIVE: its status is %s", c.Status)
	}
	return nil
}
