package accesslog

import (
	"context"
	"time"

	"headwater/internal/mediastore"
)

// Entry is one access log record on its way to a Sink.
type Entry struct {
	Account   mediastore.AccountID
	Container mediastore.ContainerName
	Time      time.Time // the request was received
	JSON      []byte    // the record, one line without its end
}

// Sink is where records go. One goroutine uses it.
type Sink interface {
	// Write takes records in the order of their answers. It may keep neither the
	// slice nor the bytes. After an error the records are lost and counted: as
	// many as the error's method Lost() int says, all when it has none.
	Write(ctx context.Context, batch []Entry) error

	// Close writes what is buffered.
	Close() error
}
