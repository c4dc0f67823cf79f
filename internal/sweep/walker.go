package sweep

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"headwater/internal/lifecycle"
	"headwater/internal/mediastore"
)

// Pauses of a pass after its steps have failed, each twice as long as the last.
const (
	firstPause = time.Second
	maxPause   = 5 * time.Minute
)

// walker holds the objects of all containers against their policies' rules of one
// kind. Passes over several containers take turns, a page each, so that a small
// container does not wait for a large one.
//
// All but kick is called from one goroutine.
type walker struct {
	*Sweeper
	what  What
	wants func(*lifecycle.Policy) bool
	// act deals with the first of the objects, as many as are right for one step,
	// and returns how many. Those that an error is about are among them: they have
	// their next turn in the next pass, so that the rest does not wait for them.
	act func(context.Context, *pass, []mediastore.Object) (int, error)
	// spare is called between steps, and says when it is to be called again. Nil
	// for none.
	spare func(context.Context) time.Duration

	queue  []*pass       // in the order of their turns
	kicked chan struct{} // has a value when there are kicks

	kicks struct {
		sync.Mutex
		ids []mediastore.ContainerID
	}
}

func newWalker(s *Sweeper, what What) *walker {
	return &walker{Sweeper: s, what: what, kicked: make(chan struct{}, 1)}
}

func (w *walker) run(ctx context.Context) {
	round := time.NewTicker(w.Interval)
	defer round.Stop()
	spare := time.NewTimer(0)
	defer spare.Stop()
	if w.spare == nil {
		spare.Stop()
	}
	w.beginRound(ctx)
	for ctx.Err() == nil {
		w.admitKicked()
		next := time.NewTimer(w.turn(ctx))
		select {
		case <-ctx.Done():
		case <-next.C:
		case <-round.C:
			w.beginRound(ctx)
		case <-w.kicked:
		case <-spare.C:
			spare.Reset(w.spare(ctx))
		}
		next.Stop()
	}
}

// beginRound queues every container that has a policy, unless a pass over it is
// under way still.
func (w *walker) beginRound(ctx context.Context) {
	err := w.Each(ctx, func(c mediastore.Container) error {
		if c.Status == mediastore.StatusActive && c.Lifecycle != "" && w.passOf(c.ID) == nil {
			w.queue = append(w.queue, &pass{id: c.ID})
		}
		return ctx.Err()
	})
	if err != nil && ctx.Err() == nil {
		w.Listener.Failed(w.what, err)
		w.Log.Error("containers cannot be listed for their lifecycle policies", "to be", w.what, "error", err)
	}
}

func (w *walker) passOf(id mediastore.ContainerID) *pass {
	for _, p := range w.queue {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (w *walker) kick(id mediastore.ContainerID) {
	w.kicks.Lock()
	if !slices.Contains(w.kicks.ids, id) {
		w.kicks.ids = append(w.kicks.ids, id)
	}
	w.kicks.Unlock()
	select {
	case w.kicked <- struct{}{}:
	default:
	}
}

// admitKicked puts the containers that were kicked in front of the queue.
func (w *walker) admitKicked() {
	w.kicks.Lock()
	ids := w.kicks.ids
	w.kicks.ids = nil
	w.kicks.Unlock()
	for _, id := range ids {
		p := w.passOf(id)
		if p == nil {
			p = &pass{id: id}
		}
		p.resume, p.pause = time.Time{}, 0
		w.remove(p)
		w.queue = slices.Insert(w.queue, 0, p)
	}
}

func (w *walker) remove(p *pass) {
	w.queue = slices.DeleteFunc(w.queue, func(other *pass) bool { return other == p })
}

// turn does one step of the pass whose turn it is, when it is one's. It returns how
// long nothing is to be done.
func (w *walker) turn(ctx context.Context) time.Duration {
	now, idle := w.Now(), w.Interval
	for _, p := range w.queue {
		if pausing := p.resume.Sub(now); pausing > 0 {
			idle = min(idle, pausing)
			continue
		}
		w.remove(p)
		if w.step(ctx, p) {
			w.queue = append(w.queue, p)
		}
		return 0
	}
	return idle
}

// step does one step of a pass and returns whether it is to have more.
func (w *walker) step(ctx context.Context, p *pass) (more bool) {
	more, err := w.walk(ctx, p)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		w.fail(p, err)
	} else {
		p.pause = 0
	}
	return more
}

// fail tells of an error, in the log only of the first of a pass, and makes the
// pass pause.
func (w *walker) fail(p *pass, err error) {
	w.Listener.Failed(w.what, err)
	if p.failures == 0 {
		w.Log.Error("a lifecycle rule cannot be carried out, trying again", "to be", w.what, "container", p.id, "error", err)
	}
	p.failures++
	p.pause = min(max(firstPause, 2*p.pause), maxPause)
	p.resume = w.Now().Add(p.pause)
}

// walk deals with the next objects of a pass. It returns whether there are more
// that it can come to.
func (w *walker) walk(ctx context.Context, p *pass) (more bool, err error) {
	if concerned, err := w.look(ctx, p); !concerned || err != nil {
		return false, err
	}
	objects, more, err := w.Engine.WalkObjects(ctx, p.id, p.After, w.page)
	if mediastore.IsKind(err, mediastore.KindContainerNotFound) {
		return false, w.forgetPlace(ctx, p)
	}
	if err != nil {
		return false, err
	}
	dealt, failed := w.act(ctx, p, objects)
	if err := ctx.Err(); err != nil {
		return false, err
	}
	more = more || dealt < len(objects)
	if dealt > 0 {
		p.After = objects[dealt-1].Path
		p.Objects += dealt
	}
	if more {
		err = w.keepPlace(ctx, p)
	} else {
		w.Listener.Pass(w.what, w.Now().Sub(p.Began), p.Objects)
		err = w.forgetPlace(ctx, p)
	}
	w.pay(ctx, w.looks, len(objects))
	return more, errors.Join(failed, err)
}
