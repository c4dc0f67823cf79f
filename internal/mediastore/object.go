package mediastore

import (
	"slices"
	"time"
)

// Object is what is known of one complete version of an object, without its
// bytes.
type Object struct {
	Path         Path
	ETag         ETag
	SHA256       [32]byte
	Size         int64 // bytes
	ContentType  string
	CacheControl string // as given, empty when it was not
	LastModified time.Time

	// ExpiresAt is when the version is gone by a transient lifecycle rule, zero
	// for never. A version that has one is not listed.
	ExpiresAt time.Time
	// InfrequentAccess says that a lifecycle rule has moved the version to that
	// storage class, from which there is no way back.
	InfrequentAccess bool
	// Archived says that the bytes lie in the cold tier under ArchiveName, and
	// not in the engine.
	Archived bool
}

// Expired reports whether the version is gone at a moment: at its expiry it is.
func (o *Object) Expired(at time.Time) bool {
	return !o.ExpiresAt.IsZero() && !at.Before(o.ExpiresAt)
}

// StorageClass is where a version is kept, as clients read it.
type StorageClass string

// The storage classes. A client can only ask for the first.
const (
	ClassTemporal         StorageClass = "TEMPORAL"
	ClassInfrequentAccess StorageClass = "INFREQUENT_ACCESS"
)

// StorageClass returns the version's class.
func (o *Object) StorageClass() StorageClass {
	if o.InfrequentAccess {
		return ClassInfrequentAccess
	}
	return ClassTemporal
}

// ArchiveName is the name of a version's bytes in the cold tier. No other version
// of any object has it.
func ArchiveName(id ContainerID, etag ETag) string { return string(id) + "/" + string(etag) }

// Item is one entry of a folder: an object, or a folder that exists because
// there are objects below it.
type Item struct {
	Name   string
	Folder bool
	Object Object // the zero value for a folder
}

// Precondition is what a client demands of the version that it is about to
// replace, delete or read (RFC 9110, sections 13.1.1 and 13.1.2). The zero value
// demands nothing.
type Precondition struct {
	// At is the moment of the change: a version that has expired by then counts
	// as none. It is also the time of the change's event.
	At time.Time

	MatchAny     bool   // If-Match: *
	Match        []ETag // If-Match: one of these
	NoneMatchAny bool   // If-None-Match: *
	NoneMatch    []ETag // If-None-Match: none of these
}

// IsZero reports whether nothing is demanded, at whatever moment.
func (p *Precondition) IsZero() bool {
	return !p.MatchAny && !p.NoneMatchAny && p.Match == nil && p.NoneMatch == nil
}

// Check holds the precondition against the current version, nil when there is
// none. It returns a KindPreconditionFailed error when it does not hold.
func (p *Precondition) Check(current *Object) error {
	if current != nil && current.Expired(p.At) {
		current = nil
	}
	if p.MatchAny && current == nil {
		return Errorf(KindPreconditionFailed, "If-Match: there is no object at this path")
	}
	if p.Match != nil && (current == nil || !slices.Contains(p.Match, current.ETag)) {
		return Errorf(KindPreconditionFailed, "If-Match: the object's ETag is not among those given")
	}
	if p.NoneMatchAny && current != nil {
		return Errorf(KindPreconditionFailed, "If-None-Match: there is an object at this path already")
	}
	if p.NoneMatch != nil && current != nil && slices.Contains(p.NoneMatch, current.ETag) {
		return Errorf(KindPreconditionFailed, "If-None-Match: the object's ETag is among those given")
	}
	return nil
}
