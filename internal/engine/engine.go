// Package engine is the contract between the services, which own the rules, and
// the engines, which own durability.
//
// It speaks of containers, objects and kinds of error. It must not know a
// protocol, an SDK, a policy language or a wall clock: every time that is stored
// is given in. The suite in enginetest holds every engine to the words below.
//
// # What every engine promises
//
//   - Immediate consistency: an operation that starts after another was
//     acknowledged sees its effect, in reads and in lists.
//   - Durable before acknowledged: what an engine that keeps data across a
//     restart has acknowledged survives kill -9 and a power cut.
//   - Atomic replace: a reader gets one whole version or another whole version.
//     A Reader that was opened goes on reading its version after that was
//     replaced or deleted.
//   - No torn state: an upload that was not committed leaves the previous
//     version in place and, soon, no bytes.
//   - Deleting a container is atomic against concurrent uploads: once
//     BeginDeleteContainer has succeeded, no upload commits into it any more.
//
// All methods are safe for concurrent use. Errors are of type *mediastore.Error
// with the kinds named at each method; any other failure (a disk, a network) is
// of mediastore.KindInternal, or KindStorageFull when there is no room.
package engine

import (
	"context"
	"io"
	"time"

	"headwater/internal/mediastore"
)

// Engine is the whole contract. Close waits for what is under way and releases
// everything; after it every method fails.
type Engine interface {
	Containers
	Objects
	io.Closer
}

// Containers keeps container records.
type Containers interface {
	// CreateContainer stores a new container. It returns KindContainerInUse
	// when the account has one of that name, in whatever state, and
	// KindLimitExceeded when the account has limit containers already. A limit
	// of zero is no limit.
	CreateContainer(ctx context.Context, c mediastore.Container, limit int) error

	// Container returns a container by name, or KindContainerNotFound.
	Container(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) (mediastore.Container, error)

	// ContainerByID returns a container by ID, or KindContainerNotFound.
	ContainerByID(ctx context.Context, id mediastore.ContainerID) (mediastore.Container, error)

	// ListContainers returns up to limit containers of the account whose name
	// is greater than after, in the order of their names' bytes, and whether
	// there are more.
	ListContainers(ctx context.Context, account mediastore.AccountID, after mediastore.ContainerName, limit int) ([]mediastore.Container, bool, error)

	// UpdateContainer changes a container atomically: change gets the current
	// record and modifies it in place. When change returns an error nothing is
	// stored and that error is returned as it is. Account, Name and ID must not
	// be changed. The new record is returned. change may be called more than
	// once and must not call the engine.
	UpdateContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, change func(*mediastore.Container) error) (mediastore.Container, error)

	// BeginDeleteContainer puts an ACTIVE container into StatusDeleting. It
	// returns KindContainerInUse when the container is not ACTIVE or holds an
	// object. Uploads that have not committed do not count, and cannot commit
	// afterwards.
	BeginDeleteContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) (mediastore.Container, error)

	// RemoveContainer removes a container in StatusDeleting and its record.
	// It returns KindContainerNotFound when there is none of that name and
	// KindContainerInUse when it is in another status.
	RemoveContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) error
}

// Objects keeps the objects of containers. A container that does not exist is
// KindContainerNotFound; an object that does not is KindObjectNotFound.
type Objects interface {
	// NewUpload begins an upload. Nothing is visible, and nothing is promised
	// about the previous version, before it is committed. The caller must Close
	// it. The container is looked at when the upload commits, not here.
	NewUpload(ctx context.Context, id mediastore.ContainerID, spec UploadSpec) (Upload, error)

	// OpenObject opens the current version for reading. The caller must Close
	// the Reader.
	OpenObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (Reader, error)

	// StatObject returns the current version without its bytes.
	StatObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (mediastore.Object, error)

	// DeleteObject removes the current version, when the precondition holds,
	// and returns what it was. Folders that hold nothing any more vanish with
	// it.
	DeleteObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path, pre mediastore.Precondition) (mediastore.Object, error)

	// ListItems returns up to limit items of one folder level that come after
	// the given position, and whether there are more. Items are ordered by the
	// bytes of their names; of a folder and an object with the same name the
	// folder comes first. A folder that does not exist has no items. The cost
	// does not depend on what other folders, or folders below, hold.
	ListItems(ctx context.Context, id mediastore.ContainerID, folder mediastore.Folder, after Position, limit int) ([]mediastore.Item, bool, error)
}

// Position is a place in a folder's listing: that of an item. The zero value is
// the place before the first one.
type Position struct {
	Name   string
	Folder bool
}

// Before reports whether p comes before the given item in a listing.
func (p Position) Before(item Position) bool {
	if p.Name != item.Name {
		return p.Name < item.Name
	}
	return p.Folder && !item.Folder
}

// UploadSpec says what is known when an upload begins.
type UploadSpec struct {
	Path mediastore.Path
	Size int64 // bytes that will come, or -1 when that is not known
	// ExpiresAt is when the object will be gone by a transient lifecycle rule,
	// or zero. It only tells the engine which objects die together.
	ExpiresAt time.Time
}

// Upload is an object that is being written.
//
// Write appends; calls must not overlap, and p is not kept. ReadAt reads what
// was written so far and may be called from any number of goroutines while Write
// goes on: at offsets that were not written yet it returns io.EOF. What was
// written stays readable, whatever becomes of the upload, until Close.
type Upload interface {
	io.Writer
	io.ReaderAt

	// Commit makes the bytes that were written, all of them, the current
	// version, atomically, when the precondition holds for the version that is
	// current at that moment. When it returns nil the object is durable. It
	// returns KindContainerNotFound when the container does not exist or is not
	// ACTIVE, and KindPreconditionFailed. Path and Size of obj are set from the
	// upload. At most one call.
	Commit(ctx context.Context, obj mediastore.Object, pre mediastore.Precondition) error

	// Close releases the upload and, when it was not committed, drops its
	// bytes. It may be called more than once.
	io.Closer
}

// Reader is one open version of an object. ReadAt may be called from any number
// of goroutines and needs no lock that another operation holds across I/O.
type Reader interface {
	io.ReaderAt
	Object() mediastore.Object
	io.Closer
}
