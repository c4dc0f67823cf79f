// Package event has the facts that the program tells its listeners: a change of
// an object or a container, an answered request, a call of the control plane.
//
// Who does something builds a fact and hands it on; logs, metrics, audit records
// and notifications are made of it elsewhere. The package must not know any of
// those, nor a protocol.
package event

import (
	"crypto/sha256"
	"fmt"
	"time"

	"headwater/internal/mediastore"
)

// Kind says what has changed.
type Kind uint8

// The kinds of change. Their numbers are stored.
const (
	ObjectUpdated    Kind = 1 // an object was stored, new or in the place of another
	ObjectRemoved    Kind = 2
	ContainerCreated Kind = 3 // a container has become ACTIVE
	ContainerRemoved Kind = 4
)

// Event is one change, at its place in the order of all changes. The engine keeps
// it together with the change, so there is never one without the other.
type Event struct {
	Position    uint64 // greater than that of every earlier change, 0 for none
	Kind        Kind
	Time        time.Time
	Account     mediastore.AccountID
	Container   mediastore.ContainerName
	ContainerID mediastore.ContainerID

	// Of an object's event only: the version that was stored or is gone.
	Path mediastore.Path
	ETag mediastore.ETag
	Size int64 // bytes
}

// ID names the event: the same one however often it is told, and no other. It is
// a UUID of version 8 (RFC 9562, section 5.8) made of the version, or of the
// container, whose names are random.
func (e *Event) ID() string {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s", e.Kind, e.ContainerID, e.ETag, e.Path))
	u := h[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
