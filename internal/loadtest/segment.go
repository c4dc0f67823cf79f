package loadtest

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
)

const (
	patternBits = 20
	patternSize = 1 << patternBits
	headerSize  = 16 // the stream and the number, 8 bytes each
)

// pattern is the random bytes that all segments are cut from, so that making and
// checking one costs no more than copying and comparing. It does not compress.
type pattern []byte

func newPattern(seed uint64) pattern {
	p := make(pattern, patternSize)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(p) // it never fails
	return p
}

// segment is the content of one segment: a header that names it, then the
// pattern, round and round, from a place that few other segments begin at.
type segment struct {
	pattern pattern
	header  [headerSize]byte
	start   int64 // in the pattern, of the byte at 0
	size    int64
}

func newSegment(p pattern, stream, number, size int64) *segment {
	s := &segment{pattern: p, size: size}
	binary.BigEndian.PutUint64(s.header[:], uint64(stream))
	binary.BigEndian.PutUint64(s.header[8:], uint64(number))
	// Steps of the golden ratio keep neighbours apart (Knuth, TAOCP 3, 6.4).
	s.start = int64((uint64(stream)<<32 ^ uint64(number)) * 0x9E3779B97F4A7C15 >> (64 - patternBits))
	return s
}

// at returns the bytes from offset on that lie together in memory, at least one
// unless offset is the end.
func (s *segment) at(offset int64) []byte {
	rest := s.size - offset
	if offset < headerSize {
		return s.header[offset:min(headerSize, s.size)]
	}
	run := s.pattern[(s.start+offset)%patternSize:]
	return run[:min(int64(len(run)), rest)]
}

// segmentReader reads a segment, of which it may be given a part only.
type segmentReader struct {
	*segment
	offset int64
}

func (r *segmentReader) Read(p []byte) (int, error) {
	if r.offset == r.size {
		return 0, io.EOF
	}
	n := copy(p, r.at(r.offset))
	r.offset += int64(n)
	return n, nil
}

// bodyError is what can be wrong with a body that arrived whole, as the report
// says it.
type bodyError string

func (e bodyError) Error() string { return string(e) }

const (
	errOtherBody bodyError = "body of another object"
	errMixedBody bodyError = "body with wrong bytes"
	errShortBody bodyError = "body too short"
	errLongBody  bodyError = "body too long"
	errManifest  bodyError = "manifest that nobody wrote"
	errStale     bodyError = "manifest older than an acknowledged one"
)

// checker compares bytes with a segment as they come.
type checker struct {
	*segment
	offset int64
}

// check returns an error when p is not what comes next.
func (c *checker) check(p []byte) error {
	for len(p) > 0 {
		if c.offset == c.size {
			return errLongBody
		}
		want := c.at(c.offset)
		n := min(len(p), len(want))
		if !bytes.Equal(p[:n], want[:n]) {
			if c.offset < headerSize {
				return errOtherBody
			}
			return errMixedBody
		}
		c.offset += int64(n)
		p = p[n:]
	}
	return nil
}

// end returns an error when more should have come.
func (c *checker) end() error {
	if c.offset < c.size {
		return errShortBody
	}
	return nil
}
