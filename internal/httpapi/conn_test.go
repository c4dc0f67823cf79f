package httpapi_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"headwater/internal/httpapi"
)

// pair is a connection of a patient listener, and its peer.
func pair(t *testing.T) (server net.Conn, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = (&httpapi.Listener{Listener: l, Now: time.Now}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); dialed.Close() })
	return server, dialed.(*net.TCPConn)
}

// reset makes a connection whose peer has sent something and reset it.
func reset(t *testing.T, sent string) net.Conn {
	t.Helper()
	server, client := pair(t)
	if _, err := server.Write([]byte("unread")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil { // the rest is unread
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, sent); err != nil {
		t.Fatal(err)
	}
	client.Close()
	return server
}

func TestHeardOut(t *testing.T) {
	c := reset(t, "the last words")
	answer := make([]byte, 1024)
	for i := range 64 {
		if n, err := c.Write(answer); n != len(answer) || err != nil {
			t.Fatalf("write %d of an answer that nobody wants: %d, %v", i, n, err)
		}
	}
	b := make([]byte, 14)
	if n, err := io.ReadFull(c, b); err != nil {
		t.Errorf("of what had arrived %q is read, then %v", b[:n], err)
	}
}

// TestNotForEver: who sends a large body to nobody has to learn it.
func TestNotForEver(t *testing.T) {
	c := reset(t, "")
	var err error
	for range 1000 {
		if _, err = c.Write(make([]byte, 1024)); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a megabyte to nobody: %v", err)
	}
}

// TestCloseWriteReaches the connection below.
func TestCloseWriteReaches(t *testing.T) {
	server, client := pair(t)
	if err := server.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(client); len(b) > 0 || err != nil {
		t.Errorf("the peer reads %q, %v", b, err)
	}
}
