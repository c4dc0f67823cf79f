package objects

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// Version is one version of an object, open for reading: a complete one, or an
// upload that is still under way.
type Version struct {
	// Object describes the version. Its Size means nothing while InFlight.
	Object mediastore.Object
	io.ReaderAt

	closer io.Closer
	flight *flight
	among  *flights // nil unless InFlight
}

// InFlight reports whether the version was an upload under way when it was
// opened. Its bytes are then read by Wait and ReadAt in turn.
func (v *Version) InFlight() bool { return v.flight != nil }

// Wait blocks until an upload under way has bytes beyond off and returns how
// many it has in all. When the upload was committed and there are none it
// returns io.EOF; when it was broken off, an error of KindUnavailable.
func (v *Version) Wait(ctx context.Context, off int64) (int64, error) {
	return v.flight.wait(ctx, off)
}

// Sections returns where a run of bytes lies in files, when the engine keeps them
// so.
func (v *Version) Sections(off, n int64) ([]engine.Section, bool) {
	if r, ok := v.ReaderAt.(engine.FileReader); ok {
		return r.Sections(off, n)
	}
	return nil, false
}

// Close releases the version.
func (v *Version) Close() error {
	if v.flight != nil {
		v.among.followers.Add(-1)
		v.flight.release()
		return nil
	}
	return v.closer.Close()
}

// flight is an upload under way: one writer appends, any number of followers
// read. Its bytes live in the engine's upload; here is only how many there are,
// so a follower costs a wake-up a chunk and no memory, and a slow one holds up
// nobody.
type flight struct {
	object mediastore.Object
	upload engine.Upload

	mu struct {
		sync.Mutex
		written int64
		ended   bool
		err     error         // why it ended, nil when it was committed
		changed chan struct{} // closed at the next change; nil while nobody waits
		holders int           // the writer and the followers; the last one closes the upload
	}
}

func newFlight(u engine.Upload, obj mediastore.Object) *flight {
	f := &flight{upload: u, object: obj}
	f.mu.holders = 1
	return f
}

func (f *flight) append(p []byte) error {
	if _, err := f.upload.Write(p); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.written += int64(len(p))
	f.wakeLocked()
	return nil
}

func (f *flight) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.ended, f.mu.err = true, err
	f.wakeLocked()
}

func (f *flight) wakeLocked() {
	if f.mu.changed != nil {
		close(f.mu.changed)
		f.mu.changed = nil
	}
}

func (f *flight) written() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.written
}

// wait implements Version.Wait.
func (f *flight) wait(ctx context.Context, off int64) (int64, error) {
	for {
		n, changed, err := f.beyond(off)
		if changed == nil {
			return n, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// beyond returns how far the upload is when that is more than off, or why there
// will never be more, or else a channel that is closed at the next change. A
// broken-off upload ends its followers at once: what they have not read by then
// is of no use to them.
func (f *flight) beyond(off int64) (int64, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.mu.ended && f.mu.err != nil:
		return 0, nil, &mediastore.Error{Op: "objects.follow", Kind: mediastore.KindUnavailable, Message: "The upload was broken off", Err: f.mu.err}
	case f.mu.written > off:
		return f.mu.written, nil, nil
	case f.mu.ended:
		return f.mu.written, nil, io.EOF
	}
	if f.mu.changed == nil {
		f.mu.changed = make(chan struct{})
	}
	return 0, f.mu.changed, nil
}

// hold keeps the upload's bytes for one more.
func (f *flight) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.holders++
}

func (f *flight) release() {
	f.mu.Lock()
	f.mu.holders--
	last := f.mu.holders == 0
	f.mu.Unlock()
	if last {
		f.upload.Close() // after Commit nothing is lost; before it, that is the point
	}
}

type flightKey struct {
	container mediastore.ContainerID
	path      mediastore.Path
}

// flights are the visible uploads. Of several at one path, readers get the one
// that became visible last.
type flights struct {
	followers atomic.Int64
	mu        struct {
		sync.RWMutex
		at map[flightKey][]*flight
	}
}

// show makes an upload visible.
func (fs *flights) show(key flightKey, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.mu.at == nil {
		fs.mu.at = make(map[flightKey][]*flight)
	}
	fs.mu.at[key] = append(fs.mu.at[key], f)
}

// follow returns the visible upload at key, held for the caller, or nil.
func (fs *flights) follow(key flightKey) *flight {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	stack := fs.mu.at[key]
	if len(stack) == 0 {
		return nil
	}
	f := stack[len(stack)-1]
	f.hold()
	return f
}

// end takes an upload out and tells its followers. When it was committed, those
// that became visible before it are hidden too: new readers must get the version
// that was stored last.
func (fs *flights) end(key flightKey, f *flight, err error) {
	fs.mu.Lock()
	if rest := without(fs.mu.at[key], f, err == nil); len(rest) > 0 {
		fs.mu.at[key] = rest
	} else {
		delete(fs.mu.at, key)
	}
	fs.mu.Unlock()
	f.end(err)
}

func without(stack []*flight, f *flight, andOlder bool) []*flight {
	for i := range stack {
		if stack[i] != f {
			continue
		}
		if andOlder {
			return append([]*flight(nil), stack[i+1:]...)
		}
		return append(append([]*flight(nil), stack[:i]...), stack[i+1:]...)
	}
	if andOlder { // a STANDARD upload: all that is visible began before its end
		return nil
	}
	return stack
}
