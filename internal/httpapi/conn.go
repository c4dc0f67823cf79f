package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxUnsent is how many bytes of answers a connection takes without anybody to
	// send them to.
	maxUnsent = 64 << 10
	// maxHeld is how many bytes of an answer are held at most: a chunk of a live
	// upload with what net/http puts around it.
	maxHeld = 72 << 10
)

// heldBuffers are for what is held: a connection has one only meanwhile.
var heldBuffers = sync.Pool{New: func() any { return new(held) }}

type held struct {
	n     int
	bytes [maxHeld]byte
}

// Listener accepts connections as a server of live video wants them:
//
//   - A client that does not take what it is sent for SendIdle is given up.
//   - A client that hangs up without waiting for its answers is heard out. ffmpeg
//     ends a channel so: it sends its last uploads one behind the other and
//     closes. What they need has arrived, but net/http gives a connection up at
//     the first answer that it cannot send.
//   - An answer on Hold goes out in one piece, and a file by sendfile(2).
type Listener struct {
	net.Listener
	SendIdle time.Duration // 0 for ever
	Now      func() time.Time
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: accepted, idle: l.SendIdle, now: l.Now}, nil
}

// conn is one connection. Its methods are called as net/http does: one goroutine
// writes, one reads.
type conn struct {
	net.Conn
	idle time.Duration
	now  func() time.Time

	deadline atomic.Int64 // that is set for writes, in Unix nanoseconds

	// mu is held while something is sent. Who must not wait for that tries it: when
	// somebody else has it, nothing stays held.
	mu struct {
		sync.Mutex
		gone    error // why nothing can be sent any more
		unsent  int   // bytes that were taken since
		holding bool
		held    *held // nil for nothing
	}
}

type connKey struct{}

// ConnContext lets Hold find the connection of a request. It is for the field of
// that name of an http.Server.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// Hold keeps what is written to the request's connection from now on, up to 72 KiB,
// until the answer is complete or Release is called: then what net/http writes in
// pieces goes out in one. It is for HTTP/1, where the connection is read again once
// the answer is complete. A connection of HTTP/2 belongs to many answers and is
// read all the time: nothing is held there.
func Hold(r *http.Request) {
	if c := connOf(r); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.mu.holding = true
	}
}

// Release sends what is held.
func Release(r *http.Request) error {
	if c := connOf(r); c != nil {
		return c.release()
	}
	return nil
}

// connOf returns the connection that the answer to r has for itself, or nil.
func connOf(r *http.Request) *conn {
	if r.ProtoMajor != 1 {
		return nil
	}
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

// Read implements net.Conn. Who reads has nothing more to write for now: what is
// held goes out first.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.release(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.holding && c.holdLocked(p) {
		return len(p), nil
	}
	if err := c.sendLocked(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// holdLocked reports whether there was room to hold p.
func (c *conn) holdLocked(p []byte) bool {
	if c.mu.held == nil {
		c.mu.held = heldBuffers.Get().(*held)
		c.mu.held.n = 0
	}
	h := c.mu.held
	if len(p) > len(h.bytes)-h.n {
		return false
	}
	h.n += copy(h.bytes[h.n:], p)
	return true
}

// release sends what is held, unless somebody is sending it.
func (c *conn) release() error {
	if !c.mu.TryLock() {
		return nil
	}
	defer c.mu.Unlock()
	return c.sendLocked(nil)
}

// sendLocked sends what is held, and p behind it.
func (c *conn) sendLocked(p []byte) error {
	c.mu.holding = false
	if h := c.mu.held; h != nil {
		c.mu.held = nil
		defer heldBuffers.Put(h)
		return c.transmitLocked(h.bytes[:h.n], p)
	}
	return c.transmitLocked(nil, p)
}

// transmitLocked sends two pieces, in one call when neither is empty.
func (c *conn) transmitLocked(first, second []byte) error {
	size := len(first) + len(second)
	if size == 0 {
		return nil
	}
	if c.mu.gone == nil {
		c.extendDeadline()
		err := writeBoth(c.Conn, first, second)
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			return err
		}
		c.mu.gone = err
	}
	if c.mu.unsent += size; c.mu.unsent > maxUnsent {
		return c.mu.gone
	}
	return nil
}

func writeBoth(c net.Conn, first, second []byte) (err error) {
	switch {
	case len(first) == 0:
		_, err = c.Write(second)
	case len(second) == 0:
		_, err = c.Write(first)
	default:
		_, err = (&net.Buffers{first, second}).WriteTo(c)
	}
	return err
}

// extendDeadline gives the client SendIdle from now, to the second: to set a
// deadline for every write costs more than it is worth.
func (c *conn) extendDeadline() {
	if c.idle <= 0 {
		return
	}
	now := c.now()
	if c.deadline.Load()-now.UnixNano() > int64(c.idle-time.Second) {
		return
	}
	deadline := now.Add(c.idle)
	c.deadline.Store(deadline.UnixNano())
	_ = c.Conn.SetWriteDeadline(deadline) // fails on a connection that is closed, and so will the write
}

// SetWriteDeadline implements net.Conn. No deadline is what net/http sets after
// every answer: the one that is there is as good.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && c.idle > 0 {
		return nil
	}
	c.deadline.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite tells the peer that nothing more will come. net/http does so before
// it gives up on a request, so that its answer is not lost by a reset.
func (c *conn) CloseWrite() error {
	if err := c.release(); err != nil {
		return err
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *conn) Close() error {
	return errors.Join(c.release(), c.Conn.Close())
}

// FileSection is a run of bytes of a file on its way to a connection.
type FileSection struct {
	File   io.ReaderAt
	FD     uintptr // of File, for sendfile(2)
	Offset int64
	Length int64 // bytes that are left
}

// Read implements io.Reader, for connections that cannot do better.
func (s *FileSection) Read(p []byte) (int, error) {
	if s.Length == 0 {
		return 0, io.EOF
	}
	n, err := s.File.ReadAt(p[:min(int64(len(p)), s.Length)], s.Offset)
	s.advance(int64(n))
	if n > 0 {
		err = nil
	}
	return n, err
}

func (s *FileSection) advance(n int64) {
	s.Offset, s.Length = s.Offset+n, s.Length-n
}

// sendSlice is how much of a file is sent under one deadline.
const sendSlice = 1 << 20

// ReadFrom implements io.ReaderFrom, through which net/http hands on what it would
// only copy.
func (c *conn) ReadFrom(r io.Reader) (sent int64, err error) {
	section, ok := r.(*FileSection)
	if !ok || !canSendFile {
		return io.Copy(writerOnly{c}, r)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.sendLocked(nil); err != nil {
		return 0, err
	}
	for section.Length > 0 {
		c.extendDeadline()
		n, err := sendFile(c.Conn, section.FD, section.Offset, min(section.Length, sendSlice))
		section.advance(n)
		if sent += n; err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// writerOnly hides ReadFrom.
type writerOnly struct{ io.Writer }
