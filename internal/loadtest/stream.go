package loadtest

import (
	"context"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// stream is one rendition of one channel: what its publisher and its readers
// share.
type stream struct {
	*Test
	pattern pattern
	id      int64
	channel int
	folder  string
	size    int64         // of a segment, in bytes
	period  time.Duration // from one segment to the next, by the clock; may be 0

	begin time.Time     // when segment 0 is due
	onAir chan struct{} // closed when there is a manifest

	// What may be there and is to be deleted: segments, oldest first, and the
	// manifest. The publisher's; clean's when that has ended.
	stored []int64
	listed bool

	// A manifest that names what comes before acked was acknowledged: every
	// read that begins later must see it, or a newer one.
	acked   atomic.Int64
	deleted atomic.Int64 // what comes before is deleted, or about to be
	flight  atomic.Pointer[flight]
}

// ladder returns the bit rate of a rendition, in bits per second: those of
// Apple's HLS authoring specification for H.264, then audio.
func ladder(rendition int) int64 {
	rates := []int64{7_800_000, 6_000_000, 4_500_000, 3_000_000, 2_000_000, 1_100_000, 730_000, 365_000, 145_000}
	if rendition < len(rates) {
		return rates[rendition]
	}
	return 128_000
}

func newStream(t *Test, p pattern, channel, rendition int) *stream {
	c := &t.config
	size := c.SegmentSize
	if size == 0 {
		size = max(ladder(rendition)*c.Segment.Milliseconds()/8000, 1)
	}
	return &stream{
		Test: t, pattern: p, channel: channel, size: size,
		id:     int64(channel*c.Renditions + rendition),
		folder: path.Join(c.Folder, "channel"+strconv.Itoa(channel+1), "rendition"+strconv.Itoa(rendition+1)),
		period: c.scaled(c.Segment),
		onAir:  make(chan struct{}),
	}
}

// scaled returns how long d takes in the run.
func (c *Config) scaled(d time.Duration) time.Duration {
	if c.Speed == 0 {
		return 0
	}
	return time.Duration(float64(d) / c.Speed)
}

// phase spreads the channels over the duration of a segment. The renditions of a
// channel come together, as from an encoder.
func (s *stream) phase() time.Duration {
	return s.period * time.Duration(s.channel) / time.Duration(s.config.Channels)
}

// due returns when the upload of a segment is to begin.
func (s *stream) due(number int64) time.Time {
	return s.begin.Add(time.Duration(number) * s.period)
}

func (s *stream) manifestPath() string            { return s.folder + "/" + manifestName }
func (s *stream) segmentPath(number int64) string { return s.folder + "/" + segmentName(number) }
func (s *stream) segment(number int64) *segment   { return newSegment(s.pattern, s.id, number, s.size) }
func (s *stream) bytes(k kind, n int)             { s.recorder.tallies[k].bytes.Add(int64(n)) }
func (s *stream) partPeriod() time.Duration       { return s.config.scaled(s.config.Part) }

// record records a request, unless it was broken off because ctx, the run's,
// ended.
func (s *stream) record(ctx context.Context, k kind, since time.Time, err error) {
	if ctx.Err() == nil {
		s.recorder.done(k, since, err)
	}
}

// flight is an upload under way. Chunks end where the segment's bytes are evenly
// divided.
type flight struct {
	number   int64
	size     int64
	written  []atomic.Int64 // per chunk: when its last byte was sent, Unix time in nanoseconds
	begun    chan struct{}  // closed after the first chunk, or at the end
	beginNow sync.Once
	ended    atomic.Bool
	failed   atomic.Bool
}

func newFlight(number, size int64, chunks int) *flight {
	chunks = int(min(int64(max(chunks, 1)), size))
	return &flight{number: number, size: size, written: make([]atomic.Int64, chunks), begun: make(chan struct{})}
}

// chunkEnd returns the offset after a chunk.
func (f *flight) chunkEnd(chunk int) int64 {
	return f.size * int64(chunk+1) / int64(len(f.written))
}

func (f *flight) begin() { f.beginNow.Do(func() { close(f.begun) }) }

// end is called when the upload was answered, or failed.
func (f *flight) end(err error) {
	f.failed.Store(err != nil)
	f.ended.Store(true)
	f.begin()
}
