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
}

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
	MatchAny     bool   // If-Match: *
	Match        []ETag // If-Match: one of these
	NoneMatchAny bool   // If-None-Match: *
	NoneMatch    []ETag // If-None-Match: none of these
}

// IsZero reports whether nothing is demanded.
func (p *Precondition) IsZero() bool {
	return !p.MatchAny && !p.NoneMatchAny && p.Match == nil && p.NoneMatch == nil
}

// Check holds the precondition against the current version, nil when there is
// none. It returns a KindPreconditionFailed error when it does not hold.
func (p *Precondition) Check(current *Object) error {
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
