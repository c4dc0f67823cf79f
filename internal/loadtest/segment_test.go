package loadtest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
)

func body(t *testing.T, s *segment) []byte {
	t.Helper()
	if err := iotest.TestReader(&segmentReader{segment: s}, mustRead(t, s)); err != nil {
		t.Fatal(err)
	}
	return mustRead(t, s)
}

func mustRead(t *testing.T, s *segment) []byte {
	t.Helper()
	b, err := io.ReadAll(&segmentReader{segment: s})
	if err != nil || int64(len(b)) != s.size {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	return b
}

// verdict checks b in pieces of n bytes.
func verdict(s *segment, b []byte, n int) error {
	c := &checker{segment: s}
	for piece := range slices.Chunk(b, n) {
		if err := c.check(piece); err != nil {
			return err
		}
	}
	return c.end()
}

func TestSegments(t *testing.T) {
	p := newPattern(1)
	for _, size := range []int64{1, 15, 16, 17, 1000} {
		s := newSegment(p, 3, 7, size)
		whole := body(t, s)
		for _, n := range []int{1, 7, 4096} {
			if err := verdict(s, whole, n); err != nil {
				t.Errorf("%d bytes by %d: %v", size, n, err)
			}
			if err := verdict(s, whole[:size-1], n); !errors.Is(err, errShortBody) {
				t.Errorf("%d bytes, one too few: %v", size, err)
			}
			if err := verdict(s, append(slices.Clone(whole), 0), n); !errors.Is(err, errLongBody) {
				t.Errorf("%d bytes, one too many: %v", size, err)
			}
		}
		for i := range whole {
			spoilt := slices.Clone(whole)
			spoilt[i] ^= 1
			want := errMixedBody
			if i < headerSize {
				want = errOtherBody
			}
			if err := verdict(s, spoilt, 100); !errors.Is(err, want) {
				t.Errorf("%d bytes, with byte %d changed: %v", size, i, err)
			}
		}
	}
}

// A segment longer than the pattern goes round.
func TestLongSegment(t *testing.T) {
	p := newPattern(1)
	s := newSegment(p, 0, 1, 3*patternSize)
	whole := mustRead(t, s)
	if err := verdict(s, whole, 32<<10); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(whole[100:100+patternSize], whole[100+patternSize:100+2*patternSize]) {
		t.Error("the pattern does not repeat")
	}
}

// Neighbours in number and stream have nothing in common after the header.
func TestSegmentsDiffer(t *testing.T) {
	p := newPattern(1)
	seen := map[string]bool{}
	for stream := range int64(20) {
		for number := range int64(200) {
			seen[string(mustRead(t, newSegment(p, stream, number, 100))[headerSize:])] = true
		}
	}
	if len(seen) < 3900 {
		t.Errorf("only %d of 4000 segments differ from all others", len(seen))
	}
}

func BenchmarkMakeAndCheckSegment(b *testing.B) {
	p := newPattern(1)
	buf := make([]byte, readBuffer)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		s := newSegment(p, 1, n, 1<<20)
		r, c := segmentReader{segment: s}, checker{segment: s}
		for {
			n, err := r.Read(buf)
			if err != nil {
				break
			}
			if err := c.check(buf[:n]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
