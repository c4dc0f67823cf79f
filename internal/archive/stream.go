package archive

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"headwater/internal/mediastore"
)

// reader is a Reader over one GET that is under way. Calls that go on where the
// last one ended take the next bytes of its body; a jump begins another GET.
type reader struct {
	from   *bucket
	name   string
	size   int64
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	stream *stream // guarded by mu; nil when none is under way
}

// stream is the body of one GET, and where in the object its next byte lies.
type stream struct {
	body   io.ReadCloser
	at     int64
	cancel context.CancelFunc
}

func newReader(ctx context.Context, from *bucket, name string, size int64) *reader {
	ctx, cancel := context.WithCancel(ctx)
	return &reader{from: from, name: name, size: size, ctx: ctx, cancel: cancel}
}

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, mediastore.Invalid("archive offset", "must not be negative")
	}
	if off >= r.size {
		return 0, io.EOF
	}
	whole := len(p)
	p = p[:min(int64(whole), r.size-off)]
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.read(p, off)
	if err == nil && n < whole {
		err = io.EOF
	}
	return n, err
}

// read fills p. A stream that breaks is begun again once, where it broke.
func (r *reader) read(p []byte, off int64) (n int, err error) {
	for range 2 {
		if err := r.reopen(off + int64(n)); err != nil {
			return n, err
		}
		var more int
		more, err = r.stream.fill(p[n:], r.from.patience)
		n += more
		if err == nil {
			return n, nil
		}
		r.drop()
	}
	return n, failure("archive.read", err)
}

// reopen makes the stream one whose next byte is that at off.
func (r *reader) reopen(off int64) error {
	if r.stream != nil && r.stream.at == off {
		return nil
	}
	r.drop()
	in := &s3.GetObjectInput{Bucket: aws.String(r.from.bucket), Key: aws.String(r.from.key(r.name))}
	if off > 0 { // an empty object has no range
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	ctx, cancel := context.WithCancel(r.ctx)
	out, err := r.from.client.GetObject(ctx, in)
	if err != nil {
		cancel()
		if isMissing(err) {
			return lost(r.name, err)
		}
		return failure("archive.open", err)
	}
	r.stream = &stream{body: out.Body, at: off, cancel: cancel}
	if n := aws.ToInt64(out.ContentLength); n != r.size-off {
		r.drop()
		return lost(r.name, fmt.Errorf("there are %d bytes from %d on, and not %d", n, off, r.size-off))
	}
	return nil
}

func (r *reader) drop() {
	if r.stream != nil {
		r.stream.cancel()
		r.stream.body.Close()
		r.stream = nil
	}
}

// fill reads all of p, and breaks the stream off when it gives nothing for too long.
func (s *stream) fill(p []byte, patience time.Duration) (n int, err error) {
	stalled := time.AfterFunc(patience, s.cancel)
	defer stalled.Stop()
	for n < len(p) && err == nil {
		var more int
		more, err = s.body.Read(p[n:])
		n += more
		stalled.Reset(patience)
	}
	s.at += int64(n)
	if n == len(p) {
		return n, nil
	}
	return n, err
}

// Close implements io.Closer. It does not wait for what ReadAt waits for.
func (r *reader) Close() error {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
	return nil
}
