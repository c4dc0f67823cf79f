// Package objects holds the use cases of the data plane: put, open, delete and
// list objects, and follow an upload that has not ended.
//
// It owns the rules (quotas, digests, what is visible when) and asks an engine
// for durability. It must not know a protocol: who is calling was decided
// before, and an edge turns the kinds of its errors into answers.
package objects

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"
	"time"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// Quotas bound what one request, and all together, may take.
type Quotas struct {
	Path          mediastore.PathLimits
	ObjectSize    int64 // bytes of an object
	StreamingSize int64 // bytes of an object uploaded with STREAMING availability
	Uploads       int   // uploads under way at once; each holds about 128 KiB
}

// Config is what a Service is made of. Time and randomness are given in; Random
// must be safe for concurrent use, as crypto/rand.Reader is.
type Config struct {
	Engine engine.Objects
	Quotas Quotas
	Now    func() time.Time
	Random io.Reader
	// OpenArchived opens bytes in the cold tier by their name and size. It is nil
	// when there is no such tier.
	OpenArchived func(ctx context.Context, name string, size int64) (Bytes, error)
}

// Bytes are those of one version, open for reading.
type Bytes interface {
	io.ReaderAt
	io.Closer
}

// Service carries the use cases out.
type Service struct {
	engine  engine.Objects
	archive func(ctx context.Context, name string, size int64) (Bytes, error)
	quotas  Quotas
	now     func() time.Time
	random  io.Reader
	slots   chan struct{}
	flights flights
}

// New returns a service over an engine.
func New(c Config) *Service {
	return &Service{
		engine:  c.Engine,
		archive: c.OpenArchived,
		quotas:  c.Quotas,
		now:     c.Now,
		random:  c.Random,
		slots:   make(chan struct{}, c.Quotas.Uploads),
	}
}

// Quotas returns the bounds in force.
func (s *Service) Quotas() Quotas { return s.quotas }

// PutRequest is an object to be stored.
type PutRequest struct {
	Container    mediastore.ContainerID
	Path         mediastore.Path
	Body         io.Reader
	Size         int64 // bytes of Body, or -1 when not known
	ContentType  string
	CacheControl string
	Precondition mediastore.Precondition

	// Expiry returns when an object that is stored at a moment is gone by a
	// transient lifecycle rule, zero for never. It is asked when the upload
	// begins, for a guess, and when it ends, for good. Nil is never.
	Expiry func(stored time.Time) time.Time

	// Streaming makes the object readable while it is uploaded.
	Streaming bool
	// Unverified says that VerifyBody has yet to decide whether the caller is
	// who it says: the upload must then not be seen before its end.
	Unverified bool

	MD5        []byte               // digest the body must have, nil for any
	SHA256     []byte               // likewise
	VerifyBody func([32]byte) error // called with the body's SHA-256 before it is committed, unless nil
}

// Put stores an object and returns it once it is durable.
func (s *Service) Put(ctx context.Context, req PutRequest) (obj mediastore.Object, err error) {
	if err := s.checkSize(req.Size, req.Streaming); err != nil {
		return mediastore.Object{}, err
	}
	release, err := s.admit()
	if err != nil {
		return mediastore.Object{}, err
	}
	defer release()
	if err := s.checkPrecondition(ctx, &req); err != nil {
		return mediastore.Object{}, err
	}
	upload, err := s.engine.NewUpload(ctx, req.Container, engine.UploadSpec{Path: req.Path, Size: req.Size, ExpiresAt: req.expiry(s.now())})
	if err != nil {
		return mediastore.Object{}, err
	}
	f := newFlight(upload, s.object(&req))
	defer f.release()
	err = errPanicked
	defer func() { s.flights.end(flightKey{req.Container, req.Path}, f, err) }()
	return s.receive(ctx, &req, f)
}

func (req *PutRequest) expiry(stored time.Time) time.Time {
	if req.Expiry == nil {
		return time.Time{}
	}
	return req.Expiry(stored)
}

// errPanicked is what followers of an upload learn when its body's reader
// panicked: it ended, and not well.
var errPanicked = errors.New("the upload's reader panicked")

// object is what is known of a version before its first byte.
func (s *Service) object(req *PutRequest) mediastore.Object {
	return mediastore.Object{
		Path:         req.Path,
		ETag:         s.newETag(),
		ContentType:  cmp.Or(req.ContentType, contentType(req.Path)),
		CacheControl: req.CacheControl,
		LastModified: s.now(),
	}
}

// newETag names a version. It is random and not a digest of the bytes: it has to
// be known before they have come.
func (s *Service) newETag() mediastore.ETag {
	var b [16]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		panic("objects: no randomness: " + err.Error()) // crypto/rand never fails
	}
	return mediastore.ETag(hex.EncodeToString(b[:]))
}

// Uploads returns how many uploads are under way.
func (s *Service) Uploads() int { return len(s.slots) }

// Followers returns how many readers follow an upload under way.
func (s *Service) Followers() int { return int(s.flights.followers.Load()) }

// admit takes a place among the uploads under way.
func (s *Service) admit() (release func(), err error) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	default:
		return nil, mediastore.Errorf(mediastore.KindUnavailable, "%d uploads are under way, which is the limit: try again", cap(s.slots))
	}
}

func (s *Service) checkSize(size int64, streaming bool) error {
	limit := s.sizeLimit(streaming)
	if size <= limit {
		return nil
	}
	return mediastore.Errorf(mediastore.KindTooLarge, "The object has %d bytes: at most %d are allowed", size, limit)
}

func (s *Service) sizeLimit(streaming bool) int64 {
	if streaming {
		return s.quotas.StreamingSize
	}
	return s.quotas.ObjectSize
}

// checkPrecondition refuses early what would be refused at the end, so that a
// client need not send a body for it. The engine decides again, atomically.
func (s *Service) checkPrecondition(ctx context.Context, req *PutRequest) error {
	if req.Precondition.IsZero() || req.Unverified { // who may be anybody learns nothing of what is there
		return nil
	}
	req.Precondition.At = s.now()
	current, err := s.engine.StatObject(ctx, req.Container, req.Path)
	switch {
	case err == nil:
		return req.Precondition.Check(&current)
	case mediastore.IsKind(err, mediastore.KindObjectNotFound):
		return req.Precondition.Check(nil)
	default:
		return err
	}
}

// receive takes the body in and commits it.
func (s *Service) receive(ctx context.Context, req *PutRequest, f *flight) (mediastore.Object, error) {
	digest := newDigest(req)
	show := func() {}
	if req.Streaming && !req.Unverified {
		show = sync.OnceFunc(func() { s.flights.show(flightKey{req.Container, req.Path}, f) })
	}
	if err := copyBody(f, digest, req.Body, s.sizeLimit(req.Streaming), show); err != nil {
		return mediastore.Object{}, err
	}
	obj := f.object
	obj.Size = f.written()
	if req.Size >= 0 && obj.Size != req.Size {
		return mediastore.Object{}, mediastore.Errorf(mediastore.KindIncompleteBody, "The body has %d bytes where Content-Length says %d", obj.Size, req.Size)
	}
	if err := digest.verify(req, &obj.SHA256); err != nil {
		return mediastore.Object{}, err
	}
	stored := s.now()
	if !req.Streaming {
		obj.LastModified = stored // it becomes visible only now
	}
	obj.ExpiresAt = req.expiry(stored)
	req.Precondition.At = stored
	return obj, f.upload.Commit(ctx, obj, req.Precondition)
}

// buffers are what bodies are copied through. The size is that of the largest
// chunk a follower is woken for.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// copyBody appends the body to the flight, chunk by chunk as it arrives, and
// calls show once there is a byte to see.
func copyBody(f *flight, d *digest, body io.Reader, limit int64, show func()) error {
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if f.written()+int64(n) > limit {
				return mediastore.Errorf(mediastore.KindTooLarge, "The object has more than %d bytes, which is the limit", limit)
			}
			d.write(buf[:n])
			if err := f.append(buf[:n]); err != nil {
				return err
			}
			show()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return bodyError(err)
		}
	}
}

// bodyError classifies what reading a body failed with, unless the reader did.
func bodyError(err error) error {
	if mediastore.KindOf(err) != mediastore.KindInternal {
		return err
	}
	return &mediastore.Error{Op: "objects.put", Kind: mediastore.KindIncompleteBody, Message: "The body ended before it was complete", Err: err}
}

// digest hashes a body on its way.
type digest struct {
	sha hash.Hash
	md5 hash.Hash // nil unless asked for
}

func newDigest(req *PutRequest) *digest {
	d := &digest{sha: sha256.New()}
	if req.MD5 != nil {
		d.md5 = md5.New()
	}
	return d
}

func (d *digest) write(p []byte) {
	d.sha.Write(p)
	if d.md5 != nil {
		d.md5.Write(p)
	}
}

// verify puts the SHA-256 into sum and holds the body against what was declared.
func (d *digest) verify(req *PutRequest, sum *[32]byte) error {
	d.sha.Sum(sum[:0])
	if d.md5 != nil && subtle.ConstantTimeCompare(d.md5.Sum(nil), req.MD5) == 0 {
		return mediastore.Errorf(mediastore.KindBadDigest, "Content-MD5: the body has another MD5 digest than the header says")
	}
	if req.SHA256 != nil && subtle.ConstantTimeCompare(sum[:], req.SHA256) == 0 {
		return mediastore.Errorf(mediastore.KindBadDigest, "x-amz-content-sha256: the body has another SHA-256 digest than the header says")
	}
	if req.VerifyBody != nil {
		return req.VerifyBody(*sum)
	}
	return nil
}

// Open opens what a reader gets at path now: an upload that is visible already,
// else the current version. The caller must Close it.
func (s *Service) Open(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (*Version, error) {
	if f := s.flights.follow(flightKey{id, path}); f != nil {
		s.flights.followers.Add(1)
		return &Version{Object: f.object, ReaderAt: f.upload, flight: f, among: &s.flights}, nil
	}
	r, err := s.engine.OpenObject(ctx, id, path)
	if err != nil {
		return nil, err
	}
	obj := r.Object()
	switch {
	case obj.Expired(s.now()):
		return nil, errors.Join(errGone(), r.Close())
	case obj.Archived:
		return s.openArchived(ctx, id, &obj, r)
	}
	return &Version{Object: obj, ReaderAt: r, closer: r}, nil
}

// errGone says of an object whose time has come what is said of one that never
// was, whether anybody has swept it yet or not.
func errGone() error {
	return mediastore.Errorf(mediastore.KindObjectNotFound, "Object not found")
}

// openArchived opens the bytes of a version that has been moved. What the engine
// has of it is not needed then.
func (s *Service) openArchived(ctx context.Context, id mediastore.ContainerID, obj *mediastore.Object, r io.Closer) (*Version, error) {
	if err := r.Close(); err != nil {
		return nil, err
	}
	if s.archive == nil {
		return nil, &mediastore.Error{Op: "objects.open", Kind: mediastore.KindUnavailable, Message: "The object is archived, and the server has no cold tier at present"}
	}
	bytes, err := s.archive(ctx, mediastore.ArchiveName(id, obj.ETag), obj.Size)
	if err != nil {
		return nil, &mediastore.Error{Op: "objects.open", Kind: mediastore.KindUnavailable, Message: "The object is archived, and the cold tier does not answer", Err: err}
	}
	return &Version{Object: *obj, ReaderAt: bytes, closer: bytes}, nil
}

// Describe is Open without the bytes. The second result says that the object is
// an upload under way, whose Size is not known.
func (s *Service) Describe(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (mediastore.Object, bool, error) {
	if f := s.flights.follow(flightKey{id, path}); f != nil {
		defer f.release()
		return f.object, true, nil
	}
	obj, err := s.engine.StatObject(ctx, id, path)
	if err == nil && obj.Expired(s.now()) {
		return mediastore.Object{}, false, errGone()
	}
	return obj, false, err
}

// Delete removes the current version. An upload under way is not one: it goes
// on and stores its object when it ends.
func (s *Service) Delete(ctx context.Context, id mediastore.ContainerID, path mediastore.Path, pre mediastore.Precondition) (mediastore.Object, error) {
	pre.At = s.now()
	return s.engine.DeleteObject(ctx, id, path, pre)
}

// List returns one page of a folder level. Uploads under way are not in it.
func (s *Service) List(ctx context.Context, id mediastore.ContainerID, folder mediastore.Folder, after engine.Position, limit int) ([]mediastore.Item, bool, error) {
	return s.engine.ListItems(ctx, id, folder, after, limit)
}
