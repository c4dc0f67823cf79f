// Package notify tells others of changes: it reads the engine's log of events and
// hands each to the receivers that are configured, at least once and in order per
// object, and forgets what nobody waits for any more.
//
// It must not know an engine beyond the log and the marks, nor who changes what.
package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"headwater/internal/engine"
)

// Log is what the package wants of the engine.
type Log interface {
	engine.Events
	engine.Marks
}

// The reasons for which a receiver does not get an event.
const (
	Overflow = "overflow" // more than Limit events were waiting
	Age      = "age"      // it was older than MaxAge
	Refused  = "refused"  // the receiver does not want it
)

// Stats is told what becomes of the events for one receiver, by one goroutine.
type Stats interface {
	Delivered(events int)
	Retried() // an attempt for one event failed, and will be made again
	Dropped(reason string, events int)
}

// Config is what a Service is made of. All fields but Sinks are required.
type Config struct {
	Log   Log
	Sinks []Sink // with different names

	Retain int           // newest events that are kept for the live stream
	Limit  int           // events that are kept for a receiver that does not take them
	MaxAge time.Duration // after which an event is not delivered any more

	Now    func() time.Time
	Rand   func() float64 // in [0, 1); spreads retries; from several goroutines
	Logger *slog.Logger

	// Stats is called once for each receiver, with its name, a function that says
	// how many positions of the log it has not got past, and the reasons there are
	// to drop an event.
	Stats func(sink string, backlog func() int, reasons ...string) Stats
}

// Service delivers events to receivers, and keeps the log short.
type Service struct {
	config      Config
	dispatchers []*dispatcher
}

// Open finds the place of each receiver. One that has none, because it is
// configured for the first time, gets the events from now on.
func Open(ctx context.Context, config Config) (*Service, error) {
	s := &Service{config: config}
	for _, sink := range config.Sinks {
		d, err := openDispatcher(ctx, &s.config, sink)
		if err != nil {
			return nil, err
		}
		d.stats = config.Stats(d.name, d.backlog, Overflow, Age, Refused)
		s.dispatchers = append(s.dispatchers, d)
	}
	return s, nil
}

// Run delivers until ctx ends. It returns when nothing is under way any more and
// the places of all receivers are stored; what was under way comes again.
func (s *Service) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, d := range s.dispatchers {
		running.Go(func() { d.run(ctx) })
	}
	t := &trimmer{config: &s.config, dispatchers: s.dispatchers}
	running.Go(func() { t.run(ctx) })
	running.Wait()
}
