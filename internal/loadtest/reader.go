package loadtest

import (
	"context"
	"errors"
	"io"
	"time"
)

const readBuffer = 32 << 10

// reader plays one stream as far as its requests go.
type reader struct {
	*stream
	buf   []byte
	next  int64 // the first segment that it has not read
	begun bool
}

// read polls the manifest and reads new segments until soft ends. It breaks off
// when ctx ends. The i-th of the stream's readers comes at a time of its own.
func (s *stream) read(ctx, soft context.Context, i int) {
	select {
	case <-s.onAir:
	case <-soft.Done():
		return
	}
	r := &reader{stream: s, buf: make([]byte, readBuffer)}
	s.sleep(soft, s.period*time.Duration(i)/time.Duration(s.config.Readers))
	for soft.Err() == nil {
		loaded := s.config.Now()
		m, err := r.getManifest(ctx)
		changed := err == nil && r.readNew(ctx, soft, m)
		s.sleepUntil(soft, loaded.Add(r.interval(changed, err)))
	}
}

// interval returns how long to wait between loading the manifest and loading it
// again: a segment's duration, or half of it when nothing was new (RFC 8216,
// section 6.3.4). Who follows uploads asks once per chunk.
func (r *reader) interval(changed bool, err error) time.Duration {
	switch {
	case err != nil:
		return max(r.period/2, errorPause)
	case r.config.Chunked:
		return r.partPeriod()
	case changed:
		return r.period
	default:
		return r.period / 2
	}
}

func (r *reader) getManifest(ctx context.Context) (m manifest, err error) {
	since := r.config.Now()
	acked := r.acked.Load()
	err = r.client.get(ctx, 0, r.manifestPath(), func(body io.Reader) error {
		text, err := io.ReadAll(io.LimitReader(body, maxManifest))
		if err != nil {
			return err
		}
		r.bytes(getManifest, len(text))
		if m, err = readManifest(text, r.config.Segment, r.config.Window); err != nil {
			return err
		}
		if m.newest()+1 < acked {
			return errStale
		}
		return nil
	})
	r.record(ctx, getManifest, since, err)
	if err == nil && r.isLate(m, since) {
		r.recorder.late.Add(1)
	}
	return m, err
}

// isLate reports whether at a moment m was more than a segment's duration behind
// the schedule.
func (r *reader) isLate(m manifest, at time.Time) bool {
	due := r.due(m.newest() + 1)
	if m.hint {
		due = due.Add(r.partPeriod())
	}
	return r.period > 0 && at.After(due.Add(r.period))
}

// readNew reads what is in the manifest and was not read yet, and reports whether
// there was something.
func (r *reader) readNew(ctx, soft context.Context, m manifest) bool {
	if !r.begun {
		r.next, r.begun = max(m.first, r.joinAt(m)), true
	}
	if r.next < m.first {
		r.recorder.skipped.Add(m.first - r.next)
		r.next = m.first
	}
	before := r.next
	for ; r.next <= m.newest() && soft.Err() == nil; r.next++ {
		f := r.flight.Load()
		if m.hint && f != nil && f.number == r.next {
			r.follow(ctx, soft, f)
		} else {
			r.getSegment(ctx, r.next)
		}
	}
	return r.next > before
}

// joinAt returns where a player begins: not nearer to the end than three
// segments (RFC 8216, section 6.3.3), or with the one under way.
func (r *reader) joinAt(m manifest) int64 {
	if m.hint {
		return m.newest()
	}
	return m.last - 2
}

func (r *reader) getSegment(ctx context.Context, number int64) {
	since := r.config.Now()
	check := &checker{segment: r.segment(number)}
	err := r.client.get(ctx, 0, r.segmentPath(number), func(body io.Reader) error {
		return r.readBody(body, getSegment, check, func() {})
	})
	if isNotFound(err) && r.deleted.Load() > number {
		r.recorder.skipped.Add(1) // it was not there any more by right
		return
	}
	r.record(ctx, getSegment, since, err)
}

// readBody reads a body to the end and checks it. progressed is called after each
// piece.
func (r *reader) readBody(body io.Reader, k kind, check *checker, progressed func()) error {
	for {
		n, err := body.Read(r.buf)
		r.bytes(k, n)
		if wrong := check.check(r.buf[:n]); wrong != nil {
			return wrong
		}
		if n > 0 {
			progressed()
		}
		if errors.Is(err, io.EOF) {
			return check.end()
		}
		if err != nil {
			return err
		}
	}
}

// follow reads a segment while it is uploaded. As long as the server does not
// show it, it tries again.
func (r *reader) follow(ctx, soft context.Context, f *flight) {
	for {
		ended := f.ended.Load()
		since := r.config.Now()
		firstByte, err := r.followOnce(ctx, f)
		switch {
		case !isNotFound(err):
			r.recordFollow(ctx, since, firstByte, err)
			return
		case f.failed.Load():
			r.recorder.skipped.Add(1)
			return
		case ended:
			r.record(ctx, followSegment, since, err)
			return
		}
		r.recorder.early.Add(1)
		if !r.sleep(soft, max(r.partPeriod()/2, errorPause/10)) {
			return
		}
	}
}

// recordFollow records how long the first byte took.
func (r *reader) recordFollow(ctx context.Context, since, firstByte time.Time, err error) {
	if err != nil {
		r.record(ctx, followSegment, since, err)
		return
	}
	if ctx.Err() == nil {
		r.recorder.tallies[followSegment].latency.Add(firstByte.Sub(since))
	}
}

// followOnce reads the segment, and records for each chunk that was sent since
// then how long it took to arrive.
func (r *reader) followOnce(ctx context.Context, f *flight) (firstByte time.Time, err error) {
	check := &checker{segment: r.segment(f.number)}
	chunk := 0
	err = r.client.get(ctx, r.period, r.segmentPath(f.number), func(body io.Reader) error {
		opened := r.config.Now()
		return r.readBody(body, followSegment, check, func() {
			now := r.config.Now()
			if firstByte.IsZero() {
				firstByte = now
			}
			for ; chunk < len(f.written) && check.offset >= f.chunkEnd(chunk); chunk++ {
				written := time.Unix(0, f.written[chunk].Load())
				if written.After(opened) && ctx.Err() == nil {
					r.recorder.tallies[followChunk].latency.Add(now.Sub(written))
				}
			}
		})
	})
	return firstByte, err
}
