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

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// Engine is the whole contract. Close waits for what is under way and releases
// everything; after it every method fails.
type Engine interface {
	Containers
	Objects
	Sweeping
	Events
	Marks
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

	// RemoveContainer removes a container in StatusDeleting and its record, at
	// the given time. It returns KindContainerNotFound when there is none of that
	// name and KindContainerInUse when it is in another status.
	RemoveContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, at time.Time) error
}

// Objects keeps the objects of containers. A container that does not exist is
// KindContainerNotFound; an object that does not is KindObjectNotFound.
//
// A version with an ExpiresAt is transient. It is opened and described like any
// other, also after it has expired: only who asks knows the time. But it is in no
// listing, folders do not exist through it, and a container that holds one is not
// empty. An operation with a Precondition takes a version that has expired at its
// moment for none.
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

// Sweeping is how the lifecycle rules are carried out: finding what they concern,
// and changing it only if it is still what was found.
type Sweeping interface {
	// DueObjects returns up to limit current versions whose ExpiresAt is not
	// after t, of all containers, those that expire first first.
	DueObjects(ctx context.Context, t time.Time, limit int) ([]Due, error)

	// WalkObjects returns up to limit current versions of a container that are
	// not transient and whose paths come after the given one, and whether there
	// are more. The order is the engine's own, and does not depend on what there
	// is: a walk in several steps meets every object that is there throughout.
	// The path need not exist; the empty one comes before all.
	WalkObjects(ctx context.Context, id mediastore.ContainerID, after mediastore.Path, limit int) ([]mediastore.Object, bool, error)

	// RemoveVersions removes those of the versions that are still current, all
	// in one atomic step at the given time, and returns what they were. When
	// silent, there are no events. A container that does not exist holds none.
	RemoveVersions(ctx context.Context, id mediastore.ContainerID, versions []VersionID, at time.Time, silent bool) ([]mediastore.Object, error)

	// ArchiveVersion marks a version as InfrequentAccess and, when moved is
	// true, as Archived: the engine then lets go of its bytes, and of the
	// leftover of that name. Readers that are open go on. It returns
	// KindObjectNotFound when the version is not current any more. There is no
	// event.
	ArchiveVersion(ctx context.Context, id mediastore.ContainerID, v VersionID, moved bool) error

	// NoteLeftover notes the name of bytes in the cold tier that no version has
	// (yet), since the given time. An Archived version that is replaced or
	// removed leaves one behind by itself, since the moment of the change.
	NoteLeftover(ctx context.Context, name string, since time.Time) error

	// Leftovers returns up to limit names of leftovers since before t.
	Leftovers(ctx context.Context, t time.Time, limit int) ([]string, error)

	// ForgetLeftovers forgets leftovers whose bytes are gone. Names that are not
	// noted are no error.
	ForgetLeftovers(ctx context.Context, names []string) error
}

// Due is a version whose time has come.
type Due struct {
	Container mediastore.ContainerID
	Object    mediastore.Object
}

// VersionID names one version of an object.
type VersionID struct {
	Path mediastore.Path
	ETag mediastore.ETag
}

// Events is the log of changes. Every change writes its event in the same atomic
// step: Commit, DeleteObject and RemoveVersions (unless silent) one for each
// object; a container one when it becomes ACTIVE (at its CreatedAt) and one when
// it is removed. Events are in the order in which the changes took effect.
type Events interface {
	// ReadEvents returns up to limit events whose position is greater than
	// after, in order.
	ReadEvents(ctx context.Context, after uint64, limit int) ([]event.Event, error)

	// WaitEvents returns once there is an event after a position, or with the
	// error of ctx.
	WaitEvents(ctx context.Context, after uint64) error

	// EventBounds returns the positions of the oldest and the newest event that
	// are kept, 0 when there never was one. Positions need not be dense.
	EventBounds(ctx context.Context) (oldest, newest uint64, err error)

	// TrimEvents forgets the events up to and including a position, except the
	// newest: positions go on from it, across restarts too.
	TrimEvents(ctx context.Context, upTo uint64) error
}

// Marks are small values by which a service finds its place again after a
// restart.
type Marks interface {
	// Mark returns a value, nil when there is none of that name.
	Mark(ctx context.Context, name string) ([]byte, error)

	// SetMark stores a value of up to 4 KiB, durably. Nil removes it.
	SetMark(ctx context.Context, name string, value []byte) error
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

// FileReader is a Reader whose bytes lie in files, so that they can be sent to a
// network without a copy. It is an optional power: not every engine has it, nor
// every Reader of one that has.
type FileReader interface {
	// Sections returns where n bytes from an offset lie, in order, until the
	// Reader is closed. It returns false when they do not lie in files, or are
	// damaged: ReadAt then says how.
	Sections(off, n int64) ([]Section, bool)
}

// Section is a run of bytes in a file.
type Section struct {
	File   io.ReaderAt
	FD     uintptr // of File
	Offset int64
	Length int64
}
