package logstore

import (
	"bytes"
	"sync"
)

// floor is below every key of the table of expiries. A sweep that removes much
// leaves a long run of tombstones at the beginning of the table, which every
// search for what is due would have to walk through until Pebble compacts it.
type floor struct {
	mu struct {
		sync.Mutex
		key []byte
		// While a search that may raise the floor is under way: whether one is,
		// and the lowest key that was added since it began.
		searching bool
		added     []byte
	}
}

func newFloor() *floor {
	f := &floor{}
	f.mu.key = []byte{tableExpiry}
	return f
}

// begin returns where a search begins, and whether it is the one that may raise
// the floor. Its snapshot must be taken afterwards.
func (f *floor) begin() (from []byte, raises bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	raises = !f.mu.searching
	if raises {
		f.mu.searching, f.mu.added = true, nil
	}
	return f.mu.key, raises
}

// end ends the search that may raise the floor. There was no key below lowest in
// its snapshot; nil when it does not know.
func (f *floor) end(lowest []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.searching = false
	if f.mu.added != nil && bytes.Compare(f.mu.added, lowest) < 0 {
		lowest = f.mu.added
	}
	if bytes.Compare(lowest, f.mu.key) > 0 {
		f.mu.key = lowest
	}
}

// lower is called with a key that was added, once it can be seen and before it is
// acknowledged: a search either sees it or hears of it here.
func (f *floor) lower(key []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if bytes.Compare(key, f.mu.key) < 0 {
		f.mu.key = key
	}
	if f.mu.searching && (f.mu.added == nil || bytes.Compare(key, f.mu.added) < 0) {
		f.mu.added = key
	}
}
