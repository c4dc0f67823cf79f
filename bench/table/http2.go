package main

import (
	"bytes"
	"crypto/tls"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// streams is how many requests are under way on one HTTP/2 connection, as with a
// cache that holds few connections to its origin.
const streams = 8

// conn2 speaks as little HTTP/2 (RFC 9113) as measuring takes.
type conn2 struct {
	*conn
	framer  *http2.Framer
	headers []byte // HPACK of the request
	size    int
	next    uint32         // stream
	got     map[uint32]int // bytes of the streams under way
	unacked uint32         // bytes that the connection's window is short of
}

const largestWindow = 1<<31 - 1

// statusOK is :status 200 in HPACK's static table (RFC 7541, appendix A).
const statusOK = 0x88

func dial2(addr, path string, size int, config *tls.Config) (*conn2, error) {
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	plain, err := dial(addr, config)
	if err != nil {
		return nil, err
	}
	c := &conn2{conn: plain, framer: http2.NewFramer(plain.Conn, plain.r), size: size, next: 1, got: map[uint32]int{}}
	c.headers = requestBlock(addr, path)
	if _, err := plain.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, err
	}
	err = c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}, // so that statusOK is found
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: largestWindow})
	if err != nil {
		return nil, err
	}
	return c, c.framer.WriteWindowUpdate(0, largestWindow-(1<<16-1))
}

func requestBlock(addr, path string) []byte {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	e.SetMaxDynamicTableSize(0)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", addr}, {":path", path}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return block.Bytes()
}

// exchange keeps the streams busy until one has ended.
func (c *conn2) exchange() error {
	for len(c.got) < streams {
		err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.next, BlockFragment: c.headers, EndStream: true, EndHeaders: true})
		if err != nil {
			return err
		}
		c.got[c.next] = 0
		c.next += 2
	}
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			return err
		}
		if ended, err := c.take(f); ended || err != nil {
			return err
		}
	}
}

// take reports whether a frame ended a stream, which must have brought a whole
// object.
func (c *conn2) take(f http2.Frame) (ended bool, err error) {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return false, c.framer.WriteSettingsAck()
		}
	case *http2.HeadersFrame:
		block := f.HeaderBlockFragment()
		if bytes.IndexByte(block[:min(3, len(block))], statusOK) < 0 {
			return false, fmt.Errorf("the server answered other than 200: %x", block)
		}
	case *http2.DataFrame:
		return c.takeData(f)
	case *http2.RSTStreamFrame, *http2.GoAwayFrame:
		return false, fmt.Errorf("the server ended it: %v", f)
	}
	return false, nil
}

func (c *conn2) takeData(f *http2.DataFrame) (ended bool, err error) {
	n := len(f.Data())
	c.got[f.StreamID] += n
	if c.unacked += f.Length; c.unacked > 1<<28 {
		if err := c.framer.WriteWindowUpdate(0, c.unacked); err != nil {
			return false, err
		}
		c.unacked = 0
	}
	if !f.StreamEnded() {
		return false, nil
	}
	if c.got[f.StreamID] != c.size {
		return false, fmt.Errorf("%d bytes came, not %d", c.got[f.StreamID], c.size)
	}
	delete(c.got, f.StreamID)
	return true, nil
}
