// Package sweep carries out the object lifecycle policies: it removes what has
// expired, deletes what is too old, and moves what is seldom asked for to the cold
// tier.
//
// Nobody waits for it. That an expired object is gone at its moment is seen to by
// who serves objects; here the bytes are reclaimed, soon, and so slowly that live
// traffic does not notice. It finds the engine by its contract and the cold tier by
// two methods; it must not know a protocol, a concrete engine or a concrete tier.
//
// # Who does what
//
// Run starts three loops that share nothing but the bound on their rate, so that
// none waits for another:
//
//   - the expirer removes transient versions, from the engine's index of what is
//     due (expire.go);
//   - one walker deletes what rules in days delete (delete.go);
//   - another walker archives (archive.go), and between two pages it clears the
//     tier of leftovers (leftovers.go). A tier that hangs holds up this loop alone.
//
// A walker makes passes over containers, a page of each in turn (walker.go). Every
// change names the version that it is about, so that an object that was stored
// anew in the meantime is left alone, and is one atomic step of the engine, so that
// a sweeper that is stopped leaves nothing half done.
package sweep

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// Engine is what the sweeper needs of an engine. The rules are those of package
// engine.
type Engine interface {
	engine.Sweeping
	engine.Marks
	ContainerByID(ctx context.Context, id mediastore.ContainerID) (mediastore.Container, error)
	OpenObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (engine.Reader, error)
}

// Archive is the cold tier.
type Archive interface {
	// Put stores size bytes with the given SHA-256 durably, in the place of what
	// has that name already. body is an io.Seeker, too, for a second try.
	Put(ctx context.Context, name string, body io.Reader, size int64, sum [32]byte) error

	// Remove removes bytes. That there are none of that name is no error.
	Remove(ctx context.Context, name string) error
}

// What says what was done.
type What string

// What is done to objects, and last to bytes that no object has any more.
const (
	Expired   What = "expired"   // by a rule in seconds
	Deleted   What = "deleted"   // by a rule in days
	Archived  What = "archived"  // moved to the cold tier or, without one, marked
	Collected What = "collected" // leftovers in the cold tier; their sizes are not known
)

// Listener is told what happens, from several goroutines.
type Listener interface {
	// Swept says that something was done to so many objects of so many bytes.
	Swept(what What, objects int, bytes int64)
	// Failed says that something could not be done; it is tried again.
	Failed(what What, err error)
	// Pass says that all objects of a container were held against its rules of one
	// kind, Deleted or Archived, how many they were and how long it took.
	Pass(what What, took time.Duration, objects int)
}

// Config is what a Sweeper is made of. What has a default may be left zero.
type Config struct {
	Engine Engine
	// Each calls its argument with every container of every account, until that
	// returns an error, and returns it.
	Each     func(ctx context.Context, visit func(mediastore.Container) error) error
	Archive  Archive // nil for none
	Listener Listener
	Log      *slog.Logger
	Now      func() time.Time

	// EventsOnExpiry makes the engine write an event also for each object that a
	// rule in seconds has removed.
	EventsOnExpiry bool

	Poll     time.Duration // between two looks for what has expired: 500 ms
	Interval time.Duration // between the beginnings of two passes over a container: 1 h
	// Grace is how long bytes in the cold tier are kept after their version is
	// gone, for readers that have it open: 15 min.
	Grace time.Duration

	// Rate is how many objects rules in days change in a second; they look at ten
	// times as many: 2000.
	Rate int
	// ArchiveRate is how many bytes a second move to the cold tier: 50 MiB.
	ArchiveRate int
}

func (c *Config) setDefaults() {
	c.Poll = cmp.Or(c.Poll, 500*time.Millisecond)
	c.Interval = cmp.Or(c.Interval, time.Hour)
	c.Grace = cmp.Or(c.Grace, 15*time.Minute)
	c.Rate = cmp.Or(c.Rate, 2000)
	c.ArchiveRate = cmp.Or(c.ArchiveRate, 50<<20)
}

// Sizes of steps. None takes longer than about a second of what the rate allows,
// so that a changed policy, and another container, are looked at soon.
const (
	maxBatch = 500  // versions removed in one step
	maxPage  = 1000 // objects looked at in one step
	maxBurst = 256 << 10
)

// Sweeper carries out the policies while Run runs.
type Sweeper struct {
	Config
	batch, page int
	looks       *rate.Limiter // in objects
	changes     *rate.Limiter // in objects
	moved       *rate.Limiter // in bytes

	deleter  *walker
	archiver *walker
}

// New makes a Sweeper, which does nothing before Run.
func New(c Config) *Sweeper {
	c.setDefaults()
	s := &Sweeper{Config: c, batch: min(maxBatch, c.Rate), page: min(maxPage, 10*c.Rate)}
	s.looks = rate.NewLimiter(rate.Limit(10*c.Rate), s.page)
	s.changes = rate.NewLimiter(rate.Limit(c.Rate), s.batch)
	s.moved = rate.NewLimiter(rate.Limit(c.ArchiveRate), min(maxBurst, c.ArchiveRate))
	s.deleter, s.archiver = newDeleter(s), newArchiver(s)
	return s
}

// Run sweeps until ctx ends, and returns when everything that it started has. It
// is to be called once.
func (s *Sweeper) Run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { s.expireAll(ctx) })
	loops.Go(func() { s.deleter.run(ctx) })
	loops.Go(func() { s.archiver.run(ctx) })
	loops.Wait()
}

// Kick makes passes over a container begin at once: its policy has been put. It
// does not wait for them.
func (s *Sweeper) Kick(id mediastore.ContainerID) {
	s.deleter.kick(id)
	s.archiver.kick(id)
}

// swept tells what was done to objects.
func (s *Sweeper) swept(what What, objects ...mediastore.Object) {
	if len(objects) == 0 {
		return
	}
	var bytes int64
	for i := range objects {
		bytes += objects[i].Size
	}
	s.Listener.Swept(what, len(objects), bytes)
}

// pay takes n from what a rate allows, at most its burst, and returns when that is
// there, or ctx has ended. It comes after the work: between a look at a policy and
// what is done by it there is no waiting.
func (s *Sweeper) pay(ctx context.Context, limit *rate.Limiter, n int) {
	now := s.Now()
	_ = wait(ctx, limit.ReserveN(now, n).DelayFrom(now))
}

// wait returns after d, or earlier with the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
