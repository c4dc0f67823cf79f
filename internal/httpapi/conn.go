package httpapi

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// maxUnsent is how many bytes of answers a connection takes without anybody to
// send them to.
const maxUnsent = 64 << 10

// HearOut returns a listener whose connections hear a client out that has hung up
// without waiting for its answers. ffmpeg ends a channel so: it sends its last
// uploads one behind the other and closes. What they need has arrived, but
// net/http gives a connection up at the first answer that it cannot send.
func HearOut(l net.Listener) net.Listener { return patientListener{l} }

type patientListener struct{ net.Listener }

func (l patientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &patientConn{Conn: conn}, nil
}

// patientConn takes the first bytes that its peer does not want any more, as if
// they had been sent. Reading goes on, to the end of what has arrived.
type patientConn struct {
	net.Conn
	mu struct {
		sync.Mutex
		gone   error // why nothing can be sent any more
		unsent int   // bytes that were taken since
	}
}

// Write implements net.Conn.
func (c *patientConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.gone == nil {
		n, err := c.Conn.Write(p)
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			return n, err
		}
		c.mu.gone = err
	}
	if c.mu.unsent += len(p); c.mu.unsent > maxUnsent {
		return 0, c.mu.gone
	}
	return len(p), nil
}

// CloseWrite tells the peer that nothing more will come. net/http does so before
// it gives up on a request, so that its answer is not lost by a reset.
func (c *patientConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
