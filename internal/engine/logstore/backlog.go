package logstore

import (
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// maxTables is how many memory tables of the index may wait to be written to
// disk before the committer waits for them.
const maxTables = 3

// backlog makes the committer wait while Pebble writes its memory tables to disk,
// in place of Pebble's own stall, which cannot be left: when the disk is full
// that would be a hang where there should be an answer.
type backlog struct {
	limit uint64 // bytes of memory tables
	log   *slog.Logger
	mu    struct {
		sync.Mutex
		changed sync.Cond
		changes int   // how often changed was signalled
		grown   bool  // a table was begun since the last one was written
		failure error // of the attempts to write one, since one succeeded
	}
}

func newBacklog(tableSize uint64, log *slog.Logger) *backlog {
	b := &backlog{limit: maxTables * tableSize, log: log}
	b.mu.changed.L = &b.mu
	return b
}

// listen tells b what becomes of the tables. The end of a flush can carry an
// error that is none, of a table that turned out empty; a failure follows it as a
// background error.
func (b *backlog) listen(l *pebble.EventListener) {
	l.WALCreated = func(pebble.WALCreateInfo) { b.begun() }
	l.FlushEnd = func(info pebble.FlushInfo) { b.ended(info.Err == nil) }
	l.BackgroundError = b.failed
}

func (b *backlog) begun() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.grown = true
}

func (b *backlog) ended(written bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if written {
		b.mu.grown, b.mu.failure = false, nil
	}
	b.mu.changes++
	b.mu.changed.Broadcast()
}

func (b *backlog) failed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.failure == nil { // Pebble goes on trying
		b.log.Error("the index cannot write its tables", "error", err)
	}
	b.mu.failure = err
	b.mu.changes++
	b.mu.changed.Broadcast()
}

// wait returns when the backlog is small, or the error that keeps it large.
func (b *backlog) wait(db *pebble.DB) error {
	for {
		grown, changes := b.look()
		// Asking Pebble takes a while, so it is asked only when it matters.
		if !grown || db.Metrics().MemTable.Size < b.limit {
			return nil
		}
		if err := b.waitForChange(changes); err != nil {
			return err
		}
	}
}

func (b *backlog) look() (grown bool, changes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.grown, b.mu.changes
}

// waitForChange returns at once while the last attempt is known to have failed.
func (b *backlog) waitForChange(since int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.mu.failure == nil && b.mu.changes == since {
		b.mu.changed.Wait()
	}
	return b.mu.failure
}
