package notify

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

const (
	window    = 1000 // events that are held in memory for one receiver, and a batch
	readBatch = 200

	saveEvery  = time.Second // between two writes of a place, unless
	saveEvents = 1000        // so many positions are done
	saveWithin = 5 * time.Second

	complainEvery = time.Minute
)

// dispatcher delivers to one receiver. What is not atomic belongs to the goroutine
// of run.
type dispatcher struct {
	*Config
	sink   Sink
	name   string
	stats  Stats
	events int // in a call
	calls  int // at a time

	pending pending
	results chan result
	flying  int // calls under way

	failures int       // calls in a row that delivered nothing
	outage   int       // pauses in a row because of that
	paused   time.Time // the receiver is left alone until then

	floors chan floor
	floor  floor // the last one that came

	done    atomic.Uint64 // position up to which everything is delivered or dropped
	saved   atomic.Uint64 // the same, as it is stored
	savedAt time.Time

	complained time.Time
}

// result is what became of a call.
type result struct {
	items []*item
	errs  []error
}

// batch is what was read.
type batch struct {
	events []event.Event
	missed uint64 // positions before them that are forgotten
}

// floor says that events up to a position are not worth delivering.
type floor struct {
	upTo   uint64
	reason string
}

func openDispatcher(ctx context.Context, config *Config, sink Sink) (*dispatcher, error) {
	d := &dispatcher{
		Config: config, sink: sink, name: sink.Name(), results: make(chan result), floors: make(chan floor),
		floor: floor{reason: Overflow},
	}
	d.events, d.calls = sink.Limits()
	place, err := d.findPlace(ctx)
	if err != nil {
		return nil, err
	}
	d.pending = pending{lanes: map[laneKey]*lane{}, read: place}
	d.done.Store(place)
	d.saved.Store(place)
	return d, nil
}

// mark is the name that the receiver's place is kept under.
func (d *dispatcher) mark() string { return "notify/" + d.name }

// findPlace returns the place that is stored, or else stores the newest: a crash
// before the first delivery must not skip what came since.
func (d *dispatcher) findPlace(ctx context.Context) (uint64, error) {
	value, err := d.Log.Mark(ctx, d.mark())
	if err != nil {
		return 0, err
	}
	if value == nil {
		_, newest, err := d.Log.EventBounds(ctx)
		if err != nil {
			return 0, err
		}
		return newest, d.Log.SetMark(ctx, d.mark(), strconv.AppendUint(nil, newest, 10))
	}
	place, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0, &mediastore.Error{Op: "notify.findPlace", Message: "the mark " + d.mark() + " is not a position", Err: err}
	}
	return place, nil
}

// backlog returns how many positions of the log are not done, 0 when the log
// cannot be read.
func (d *dispatcher) backlog() int {
	_, newest, err := d.Log.EventBounds(context.Background())
	if err != nil {
		return 0
	}
	return int(newest - min(newest, d.done.Load()))
}

func (d *dispatcher) run(ctx context.Context) {
	batches := make(chan batch)
	var reading sync.WaitGroup
	reading.Go(func() { d.read(ctx, batches) })
	for ctx.Err() == nil {
		d.step(ctx, batches)
	}
	for d.flying > 0 {
		d.conclude(<-d.results)
	}
	reading.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveWithin)
	defer cancel()
	d.save(last)
}

// read hands on what comes after the place, for as long as it is taken.
func (d *dispatcher) read(ctx context.Context, batches chan<- batch) {
	tail := Tail{Log: d.Log, After: d.done.Load()}
	for {
		events, missed, err := tail.Next(ctx, readBatch)
		if err != nil {
			if ctx.Err() == nil {
				d.Logger.Error("events cannot be read; trying again", "sink", d.name, "error", err)
			}
			if !sleep(ctx, time.Second) {
				return
			}
			continue
		}
		select {
		case batches <- batch{events, missed}:
		case <-ctx.Done():
			return
		}
	}
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// step starts what can be started and waits until there is something to do.
func (d *dispatcher) step(ctx context.Context, batches <-chan batch) {
	next := d.start(ctx)
	if d.done.Load() != d.saved.Load() {
		next = earlier(next, d.savedAt.Add(saveEvery))
	}
	var wake <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(next.Sub(d.Now()))
		defer timer.Stop()
		wake = timer.C
	}
	if d.pending.undone >= window {
		batches = nil
	}
	select {
	case b := <-batches:
		d.admit(b)
	case r := <-d.results:
		d.settle(r)
	case f := <-d.floors:
		d.raise(f)
	case <-wake:
	case <-ctx.Done():
		return
	}
	d.saveWhenDue(ctx)
}

// start makes as many calls as may be under way, and returns when there will be
// more to start.
func (d *dispatcher) start(ctx context.Context) time.Time {
	now := d.Now()
	if d.paused.After(now) {
		return d.paused
	}
	for d.flying < d.calls {
		items, next := d.pending.ready(now, d.events)
		if len(items) == 0 {
			return next
		}
		d.call(ctx, items)
	}
	return time.Time{}
}

func (d *dispatcher) call(ctx context.Context, items []*item) {
	events := make([]event.Event, len(items))
	for i, it := range items {
		it.flying, events[i] = true, it.event
	}
	d.flying++
	go func() { d.results <- result{items, d.sink.Deliver(ctx, events)} }()
}

// admit takes in what was read, and leaves out what is not worth delivering.
func (d *dispatcher) admit(b batch) {
	dropped := b.missed
	for _, e := range b.events {
		if e.Position <= d.floor.upTo {
			dropped++
		} else {
			d.pending.admit(e)
		}
	}
	d.pending.read = b.events[len(b.events)-1].Position
	d.dropped(dropped)
	d.done.Store(d.pending.place())
}

// raise drops what is waiting below a floor.
func (d *dispatcher) raise(f floor) {
	d.floor = f
	d.dropped(d.pending.drop(f.upTo))
	d.done.Store(d.pending.place())
}

func (d *dispatcher) dropped(n uint64) {
	if n == 0 {
		return
	}
	d.stats.Dropped(d.floor.reason, int(n))
	d.complain("events are dropped", slog.Uint64("events", n), slog.String("reason", d.floor.reason))
}

// conclude takes note of what a call has finished.
func (d *dispatcher) conclude(r result) (delivered, unwanted int) {
	d.flying--
	for i, it := range r.items {
		switch err := r.errs[i]; {
		case err == nil:
			delivered++
		case refused(err):
			unwanted++
			d.complain("an event is dropped", slog.String("event", it.event.ID()), slog.Any("error", err))
		default:
			it.flying = false
			continue
		}
		d.pending.finish(it)
	}
	if delivered > 0 {
		d.stats.Delivered(delivered)
	}
	if unwanted > 0 {
		d.stats.Dropped(Refused, unwanted)
	}
	d.done.Store(d.pending.place())
	return delivered, unwanted
}

// settle takes note of what became of a call, and of when to try again what has
// failed.
func (d *dispatcher) settle(r result) {
	delivered, unwanted := d.conclude(r)
	answered := delivered+unwanted > 0
	if answered {
		d.failures, d.outage = 0, 0
	} else {
		d.failures++
	}
	now := d.Now()
	for i, it := range r.items {
		if it.done {
			continue
		}
		it.lane.failures++
		d.pending.fail(it, now.Add(backoff(it.lane.failures, d.Rand())))
		d.pauseFor(now, pauseAsked(r.errs[i]))
		d.stats.Retried()
	}
	if !answered {
		d.complain("events are not delivered; trying again", slog.Int("calls", d.failures), slog.Any("error", r.errs[0]))
		if d.failures >= d.calls && !d.paused.After(now) { // nothing gets through, so it is not this object
			d.outage++ // once for all that were under way together
			d.pauseFor(now, backoff(d.outage, d.Rand()))
		}
	}
	d.dropped(d.pending.drop(d.floor.upTo)) // what was under way when the floor rose
	d.done.Store(d.pending.place())
}

func (d *dispatcher) pauseFor(now time.Time, pause time.Duration) {
	if until := now.Add(pause); pause > 0 && until.After(d.paused) {
		d.paused = until
	}
}

// complain writes to the log, seldom: the counts are in the statistics.
func (d *dispatcher) complain(message string, attrs ...any) {
	now := d.Now()
	if !d.complained.IsZero() && now.Sub(d.complained) < complainEvery {
		return
	}
	d.complained = now
	d.Logger.Warn(message, append([]any{slog.String("sink", d.name)}, attrs...)...)
}

func (d *dispatcher) saveWhenDue(ctx context.Context) {
	behind := d.done.Load() - d.saved.Load()
	if behind >= saveEvents || behind > 0 && d.Now().Sub(d.savedAt) >= saveEvery {
		d.save(ctx)
	}
}

func (d *dispatcher) save(ctx context.Context) {
	place := d.done.Load()
	if place == d.saved.Load() {
		return
	}
	d.savedAt = d.Now()
	if err := d.Log.SetMark(ctx, d.mark(), strconv.AppendUint(nil, place, 10)); err != nil {
		d.Logger.Error("the place of a receiver cannot be stored; events may come to it again", "sink", d.name, "error", err)
		return
	}
	d.saved.Store(place)
}

// lift tells run that events up to a position are not worth delivering.
func (d *dispatcher) lift(ctx context.Context, f floor) {
	select {
	case d.floors <- f:
	case <-ctx.Done():
	}
}
