package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"
)

// conn is a client's connection that speaks as little HTTP/1.1 as measuring
// takes: requests come as bytes, of an answer it reads the status and the length.
type conn struct {
	net.Conn
	r   *bufio.Reader
	raw syscall.RawConn // nil over TLS
}

// patience bounds how long one measurement may hang.
const patience = time.Minute

// dial connects to a server, by TLS 1.3 when config is not nil.
func dial(addr string, config *tls.Config) (*conn, error) {
	tcp, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = tcp.SetDeadline(time.Now().Add(patience))
	c := &conn{Conn: tcp}
	if config != nil {
		c.Conn = tls.Client(tcp, config)
	} else if c.raw, err = tcp.(*net.TCPConn).SyscallConn(); err != nil {
		return nil, err
	}
	c.r = bufio.NewReaderSize(c.Conn, 8<<10)
	return c, nil
}

// exchange sends a request and reads its answer, which must not be an error. It
// returns the length of the body that came.
func (c *conn) exchange(head, body []byte) (int64, error) {
	if err := c.send(head, body); err != nil {
		return 0, err
	}
	ok, length, err := c.readHead()
	if err != nil {
		return 0, err
	}
	if !ok {
		text, _ := c.r.Peek(min(int(length), 500))
		return 0, fmt.Errorf("the server answered an error: %s", text)
	}
	return length, c.discard(length)
}

func (c *conn) send(head, body []byte) error {
	if len(body) == 0 {
		_, err := c.Write(head)
		return err
	}
	buffers := net.Buffers{head, body}
	if _, plain := c.Conn.(*net.TCPConn); plain {
		_, err := buffers.WriteTo(c.Conn)
		return err
	}
	_, err := c.Write(bytes.Join(buffers, nil))
	return err
}

var contentLength = []byte("content-length:")

// readHead reads the status line and the header. Length is 0 when it is not told.
func (c *conn) readHead() (ok bool, length int64, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return false, 0, err
	}
	ok = len(line) > 12 && line[9] == '2'
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil || len(line) <= 2 {
			return ok, length, err
		}
		if n := len(contentLength); len(line) > n && bytes.EqualFold(line[:n], contentLength) {
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(line[n:])), 10, 64); err != nil {
				return false, 0, err
			}
		}
	}
}

// sink says how much is discarded at once; nothing is ever written to it.
var sink = make([]byte, 1<<20)

// discard drops n bytes of a body. The kernel drops what lies in a socket without
// copying it (MSG_TRUNC, tcp(7)): reading must not be what is measured.
func (c *conn) discard(n int64) error {
	if c.raw == nil {
		_, err := c.r.Discard(int(n))
		return err
	}
	buffered, err := c.r.Discard(min(int(n), c.r.Buffered()))
	for n -= int64(buffered); n > 0 && err == nil; {
		var got int
		var failed error
		err = c.raw.Read(func(fd uintptr) bool {
			got, _, failed = syscall.Recvfrom(int(fd), sink[:min(n, int64(len(sink)))], syscall.MSG_TRUNC)
			return failed != syscall.EAGAIN
		})
		if err == nil {
			err = failed
		}
		if err == nil && got == 0 {
			err = io.ErrUnexpectedEOF
		}
		n -= int64(got)
	}
	return err
}
