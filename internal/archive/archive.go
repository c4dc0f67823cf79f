// Package archive is the cold tier: the place for the bytes of objects that a
// lifecycle rule has moved to the infrequent access storage class. It is a
// directory, on a large and slow disk, or a bucket of an S3-compatible store.
//
// It keeps bytes under names and knows nothing else. It must not know engines,
// policies or a protocol of ours: which object's bytes they are, whether they are
// still wanted and what a client reads when they do not come is for others to say.
package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"syscall"

	"headwater/internal/mediastore"
)

// Store is one cold tier. A name is a mediastore.ArchiveName; one that has not its
// form is KindInvalid.
//
// All methods are safe for concurrent use. Errors are of type *mediastore.Error: of
// the kinds named at each method, KindStorageFull when there is no room, and
// KindUnavailable when the tier does not do what it is asked, ctx has ended
// included: that may pass, and the call may be repeated.
type Store interface {
	// Put stores size bytes of body, whose SHA-256 must be sum, and replaces what
	// has the name. When it returns nil they are durable. A body that is shorter
	// is KindIncompleteBody, a longer one KindTooLarge and one with another digest
	// KindBadDigest: then nothing is stored. After any other error the bytes are
	// there, all of them, or not at all. An error of body that is of type
	// *mediastore.Error is returned as it is.
	//
	// A body that is an io.Seeker can be sent again when a network fails.
	Put(ctx context.Context, name string, body io.Reader, size int64, sum [sha256.Size]byte) error

	// Open opens what has the name, which must have size bytes. The Reader may be
	// used until ctx ends, and must be closed.
	//
	// What is not there, or has another size, is KindInternal: somebody has a
	// record of it, so that it was lost. To ask again does not help, and
	// KindObjectNotFound would tell clients and caches that there is no object.
	Open(ctx context.Context, name string, size int64) (Reader, error)

	// Remove removes what has the name, durably. That nothing has it is no error.
	Remove(ctx context.Context, name string) error

	// Check proves that the tier can be written, read and removed from. The error
	// tells an operator which of these failed.
	Check(ctx context.Context) error

	// Close releases what the store holds. Readers must be closed before.
	io.Closer
}

// Reader is what Open has opened. ReadAt may be called from any number of
// goroutines, and is fastest when each call begins where the last one ended.
//
// After a Remove or a Put under its name, a Reader of a directory goes on reading
// what it has opened; one of a bucket does so only up to its next jump.
type Reader interface {
	io.ReaderAt
	io.Closer
}

// Options say how a bucket is reached. They mean nothing to a directory. What they
// leave open, and the credentials, come from where AWS tools look: the environment,
// the shared configuration files, the machine's role.
type Options struct {
	Endpoint  string // URL of the S3-compatible store, empty for AWS
	Region    string // with an Endpoint, us-east-1 when nothing else names one
	PathStyle bool   // http://host/bucket/… and not http://bucket.host/…
}

// Open opens the tier that spec names: "s3://bucket/prefix", the prefix being
// optional, or a directory, which must exist. It does not ask a bucket for
// anything: Check does. What breaks a rule is KindInvalid.
func Open(ctx context.Context, spec string, o Options) (Store, error) {
	p, err := parse(spec)
	if err != nil {
		return nil, err
	}
	if p.dir != "" {
		return openDir(p.dir)
	}
	return openBucket(ctx, p, o)
}

// check is how both kinds of tier prove themselves. Its name has the form of no
// container, and is another one each time: several servers may share a tier.
func check(ctx context.Context, s Store, place string) error {
	name, text := "check/"+rand.Text(), []byte("Headwater was here")
	failed := func(what string, err error) error {
		return &mediastore.Error{
			Op: "archive.check", Kind: mediastore.KindUnavailable, Err: err,
			Message: "The cold tier " + place + " cannot be " + what,
		}
	}
	if err := s.Put(ctx, name, bytes.NewReader(text), int64(len(text)), sha256.Sum256(text)); err != nil {
		return failed("written", err)
	}
	readErr := readBack(ctx, s, name, text)
	if err := s.Remove(ctx, name); err != nil {
		return failed("removed from", errors.Join(err, readErr))
	}
	if readErr != nil {
		return failed("read", readErr)
	}
	return nil
}

func readBack(ctx context.Context, s Store, name string, want []byte) error {
	r, err := s.Open(ctx, name, int64(len(want)))
	if err != nil {
		return err
	}
	defer r.Close()
	got := make([]byte, len(want))
	if _, err := r.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(got, want) {
		return mediastore.Errorf(mediastore.KindInternal, "what was read is not what was written")
	}
	return nil
}

// splitName takes a name apart. Its elements are so plain that they can be used in
// paths and keys as they are.
func splitName(name string) (container, version string, err error) {
	container, version, _ = strings.Cut(name, "/")
	if !isElement(container) || !isElement(version) {
		return "", "", mediastore.Invalid("archive name", "%.200q must be two elements of 2 to 64 letters, digits, underscores or hyphens", name)
	}
	return container, version, nil
}

func isElement(s string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return 2 <= len(s) && len(s) <= 64 && strings.Trim(s, plain) == ""
}

// failure classifies an error of a disk or a network. An error that has been
// classified stays as it is.
func failure(op string, err error) error {
	if e, ok := errors.AsType[*mediastore.Error](err); ok {
		return e
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &mediastore.Error{Op: op, Kind: mediastore.KindStorageFull, Message: "There is no room left in the cold tier", Err: err}
	}
	return &mediastore.Error{Op: op, Kind: mediastore.KindUnavailable, Message: "The cold tier does not do what it is asked", Err: err}
}

// lost says that there is no whole copy of what somebody has a record of.
func lost(name string, err error) error {
	return &mediastore.Error{Op: "archive.open", Kind: mediastore.KindInternal, Message: "The cold tier has lost " + name, Err: err}
}
