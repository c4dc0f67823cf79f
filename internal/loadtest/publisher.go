package loadtest

import (
	"context"
	"io"
	"time"
)

// errorPause is how long a publisher or a reader that does not wait otherwise
// waits after an error.
const errorPause = 100 * time.Millisecond

// publisher stores the segments of one stream, as an encoder does that never
// tries twice: what could not be stored is left out of the manifest.
type publisher struct {
	*stream
	first int64 // since this one no segment is missing
	next  int64
}

// publish stores segments, each when it is due, until soft ends. It breaks off
// when ctx ends.
func (s *stream) publish(ctx, soft context.Context) {
	p := &publisher{stream: s}
	for s.sleepUntil(soft, s.due(p.next)) {
		p.skipToPresent()
		err := p.store(ctx)
		if !isRefused(err) && !s.config.KeepOld { // after another error, who knows
			p.stored = append(p.stored, p.next)
		}
		if ctx.Err() != nil {
			return
		}
		p.next++
		if err != nil {
			s.recorder.missed.Add(1)
			p.first = p.next
			s.sleep(soft, errorPause)
		} else {
			s.recorder.published.Add(1)
		}
		p.deleteOld(ctx)
	}
}

// skipToPresent gives up the segments before the present when they are more than
// a manifest names: an encoder would not have kept them.
func (p *publisher) skipToPresent() {
	if p.period == 0 {
		return
	}
	present := int64(p.config.Now().Sub(p.begin) / p.period)
	if present-p.next > int64(p.config.Window) {
		p.recorder.missed.Add(present - p.next)
		p.first, p.next = present, present
	}
}

// store stores the next segment and a manifest that names it.
func (p *publisher) store(ctx context.Context) error {
	if p.config.Chunked {
		return p.storeChunked(ctx)
	}
	since := p.config.Now()
	content := p.segment(p.next)
	err := p.client.put(ctx, 0, p.segmentPath(p.next), segmentType, p.size, func() io.Reader { return &segmentReader{segment: content} })
	p.record(ctx, putSegment, since, err)
	if err != nil {
		return err
	}
	p.bytes(putSegment, int(p.size))
	p.putManifest(ctx, manifest{first: p.oldest(p.next), last: p.next})
	return nil
}

// storeChunked uploads the next segment while it lasts. The manifest that hints
// at it is put when its first chunk was sent.
func (p *publisher) storeChunked(ctx context.Context) error {
	f := newFlight(p.next, p.size, int((p.config.Segment+p.config.Part-1)/p.config.Part))
	p.flight.Store(f)
	announced := make(chan struct{})
	go func() {
		defer close(announced)
		<-f.begun
		if f.written[0].Load() > 0 {
			p.putManifest(ctx, manifest{first: p.oldest(p.next - 1), last: p.next - 1, hint: true})
		}
	}()
	err := p.upload(ctx, f)
	f.end(err)
	<-announced
	return err
}

// upload sends a segment chunk by chunk. What is measured is how long the answer
// takes after the last chunk.
func (p *publisher) upload(ctx context.Context, f *flight) error {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	body := &chunkedReader{segmentReader: segmentReader{segment: p.segment(f.number)}, flight: f, stream: p.stream, ctx: sending}
	err := p.client.put(ctx, p.period, p.segmentPath(f.number), segmentType, -1, func() io.Reader { return body })
	p.record(ctx, putSegment, time.Unix(0, f.written[len(f.written)-1].Load()), err)
	if err == nil {
		p.bytes(putSegment, int(p.size))
	}
	return err
}

// oldest returns the first segment of a manifest that ends with last.
func (p *publisher) oldest(last int64) int64 {
	return max(p.first, last-int64(p.config.Window)+1)
}

func (p *publisher) putManifest(ctx context.Context, m manifest) {
	since := p.config.Now()
	text := m.render(p.config.Segment)
	err := p.client.putBytes(ctx, p.manifestPath(), manifestType, text)
	p.listed = p.listed || !isRefused(err)
	p.record(ctx, putManifest, since, err)
	if err != nil {
		return
	}
	p.bytes(putManifest, len(text))
	if p.acked.Swap(m.newest()+1) == 0 {
		close(p.onAir)
	}
}

// deleteOld deletes what left the manifest long ago: a segment must stay for as
// long as it and the longest playlist that named it last (RFC 8216, section
// 6.2.2). What cannot be deleted is tried again after the next segment.
func (p *publisher) deleteOld(ctx context.Context) {
	if p.config.KeepOld {
		return
	}
	bound := p.next - 2*int64(p.config.Window) - 1
	p.deleted.Store(bound)
	for len(p.stored) > 0 && p.stored[0] < bound && ctx.Err() == nil {
		since := p.config.Now()
		err := p.client.delete(ctx, p.segmentPath(p.stored[0]))
		p.record(ctx, deleteSegment, since, err)
		if err != nil {
			return
		}
		p.stored = p.stored[1:]
	}
}

// clean deletes what is left after the run, as far as it can, and returns how
// many objects may still be there.
func (s *stream) clean(ctx context.Context) int64 {
	var paths []string
	if s.listed {
		paths = append(paths, s.manifestPath())
	}
	for _, number := range s.stored {
		paths = append(paths, s.segmentPath(number))
	}
	for i, path := range paths {
		if err := s.client.delete(ctx, path); err != nil {
			return int64(len(paths) - i)
		}
	}
	return 0
}

// chunkedReader reads a segment as fast as it comes into being, and notes when
// each chunk is handed on.
type chunkedReader struct {
	segmentReader
	flight *flight
	stream *stream
	ctx    context.Context // of the upload: a read has none of its own
	chunk  int
}

func (r *chunkedReader) Read(p []byte) (int, error) {
	if r.chunk > 0 {
		r.flight.begin() // who asks for more has sent what there was
	}
	if r.chunk == len(r.flight.written) {
		return 0, io.EOF
	}
	due := r.stream.due(r.flight.number).Add(min(r.stream.partPeriod()*time.Duration(r.chunk+1), r.stream.period))
	if !r.stream.sleepUntil(r.ctx, due) {
		return 0, r.ctx.Err()
	}
	end := r.flight.chunkEnd(r.chunk)
	n, err := r.segmentReader.Read(p[:min(int64(len(p)), end-r.offset)])
	if r.offset == end {
		r.flight.written[r.chunk].Store(r.stream.config.Now().UnixNano())
		r.chunk++
	}
	return n, err
}
