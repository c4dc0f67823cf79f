package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headwater/internal/event"
)

// Sink is a receiver of events.
type Sink interface {
	// Name tells the receiver from all others, and is the same after a restart:
	// its place in the log is kept by it. It holds no secret.
	Name() string

	// Limits returns how many events a call of Deliver may have, and how many
	// calls may be under way at a time.
	Limits() (events, calls int)

	// Deliver hands events on, no two of them of one object, and returns one
	// error for each: nil when the receiver has it, a *RefusedError when it will
	// never take it, and anything else, best a *RetryError, when it is to come
	// again.
	Deliver(ctx context.Context, events []event.Event) []error
}

// RefusedError says that a receiver does not want an event.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return "the event is refused: " + e.Why }

// RetryError says that a receiver could not take an event now.
type RetryError struct {
	Err   error
	After time.Duration // that the receiver asked to be left alone for, 0 for none
}

func (e *RetryError) Error() string { return fmt.Sprintf("the event is not delivered: %v", e.Err) }

// Unwrap returns the cause.
func (e *RetryError) Unwrap() error { return e.Err }

func refused(err error) bool {
	var r *RefusedError
	return errors.As(err, &r)
}

// pauseAsked returns how long the receiver asked to be left alone for.
func pauseAsked(err error) time.Duration {
	var r *RetryError
	if errors.As(err, &r) {
		return min(r.After, maxBackoff)
	}
	return 0
}

// Attempts for one object, and calls of a receiver that answers none, are this
// far apart.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = time.Minute
)

// backoff returns how long to wait after a number of failures in a row: twice as
// long each time, and a random part of it less, so that many do not come at once.
func backoff(failures int, random float64) time.Duration {
	d := maxBackoff
	if failures <= 10 {
		d = min(d, minBackoff<<max(0, failures-1))
	}
	return d - time.Duration(random*float64(d/2))
}
