package objects

import (
	"time"

	"headwater/internal/mediastore"
)

// Conditions are what a reader makes its request depend on (RFC 9110, section
// 13.1).
type Conditions struct {
	mediastore.Precondition
	ModifiedSince   time.Time // If-Modified-Since, zero when absent
	UnmodifiedSince time.Time // If-Unmodified-Since, zero when absent
}

// Check evaluates the conditions for a read, in the order of RFC 9110, section
// 13.2.2. It returns KindPreconditionFailed, or KindNotModified when the reader
// has the version already. Times compare in whole seconds, as the headers do.
func (c *Conditions) Check(obj *mediastore.Object) error {
	ifMatch := mediastore.Precondition{MatchAny: c.MatchAny, Match: c.Match}
	if err := ifMatch.Check(obj); err != nil {
		return err
	}
	modified := obj.LastModified.Truncate(time.Second)
	if ifMatch.IsZero() && !c.UnmodifiedSince.IsZero() && modified.After(c.UnmodifiedSince) {
		return mediastore.Errorf(mediastore.KindPreconditionFailed, "If-Unmodified-Since: the object was modified after that time")
	}
	ifNoneMatch := mediastore.Precondition{NoneMatchAny: c.NoneMatchAny, NoneMatch: c.NoneMatch}
	if !ifNoneMatch.IsZero() {
		if ifNoneMatch.Check(obj) != nil {
			return mediastore.Errorf(mediastore.KindNotModified, "Not modified")
		}
		return nil
	}
	if !c.ModifiedSince.IsZero() && !modified.After(c.ModifiedSince) {
		return mediastore.Errorf(mediastore.KindNotModified, "Not modified")
	}
	return nil
}
