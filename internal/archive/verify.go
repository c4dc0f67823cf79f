package archive

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"

	"headwater/internal/mediastore"
)

// verified hands a body on and holds it against its size and digest on the way.
// The last bytes are withheld until the verdict: whoever was promised size bytes,
// a server for one, never gets them all of a body that is not what it should be.
type verified struct {
	ctx  context.Context
	body io.Reader
	size int64
	sum  [sha256.Size]byte

	left int64
	hash hash.Hash
	end  error // what Read returns from now on, unless nil
}

func newVerified(ctx context.Context, body io.Reader, size int64, sum [sha256.Size]byte) (*verified, error) {
	if size < 0 {
		return nil, mediastore.Invalid("archive size", "must not be negative")
	}
	v := &verified{ctx: ctx, body: body, size: size, sum: sum, left: size, hash: sha256.New()}
	if size == 0 { // a Read is too late: an empty body may never see one
		if err := v.verdict(); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	if v.end == nil {
		v.end = v.ctx.Err()
	}
	if v.end != nil {
		return 0, v.end
	}
	if int64(len(p)) > v.left {
		p = p[:v.left]
	}
	n, err := v.body.Read(p)
	v.hash.Write(p[:n])
	v.left -= int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		v.end = err
		return 0, err
	case v.left == 0:
		v.end = v.verdict()
		if v.end != nil {
			return 0, v.end
		}
		v.end = io.EOF
	case err != nil:
		v.end = mediastore.Errorf(mediastore.KindIncompleteBody, "the body has %d bytes and not %d", v.size-v.left, v.size)
		return n, v.end
	}
	return n, nil
}

// verdict is called when size bytes have been read.
func (v *verified) verdict() error {
	var more [1]byte
	switch _, err := io.ReadFull(v.body, more[:]); {
	case err == nil:
		return mediastore.Errorf(mediastore.KindTooLarge, "the body has more than %d bytes", v.size)
	case !errors.Is(err, io.EOF):
		return err
	case subtle.ConstantTimeCompare(v.hash.Sum(nil), v.sum[:]) == 0:
		return mediastore.Errorf(mediastore.KindBadDigest, "the body has the SHA-256 %x and not %x", v.hash.Sum(nil), v.sum)
	}
	return nil
}

// rewindable is a verified body that can be read again from its start, in the form
// that the SDK asks for.
type rewindable struct {
	*verified
	seeker io.Seeker
	start  int64 // where the body begins in seeker
}

// rewinding returns v as what can be read again, when its body can be.
func rewinding(v *verified) io.Reader {
	seeker, ok := v.body.(io.Seeker)
	if !ok {
		return v
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return v
	}
	return rewindable{v, seeker, start}
}

// Len is the size of the whole body. With it nobody needs to seek to its end.
func (r rewindable) Len() int { return int(r.size) }

// Seek tells where the body begins, and goes there.
func (r rewindable) Seek(offset int64, whence int) (int64, error) {
	switch {
	case offset == 0 && whence == io.SeekCurrent && r.left == r.size:
		return 0, nil
	case offset == 0 && whence == io.SeekStart:
		r.left, r.end = r.size, nil
		r.hash.Reset()
		_, err := r.seeker.Seek(r.start, io.SeekStart)
		return 0, err
	}
	return 0, errors.New("a body can only be read again from its start")
}
