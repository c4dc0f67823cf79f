package logstore

import (
	"errors"

	"headwater/internal/mediastore"
)

// What Open refuses, to be told apart with errors.Is.
var (
	// ErrInUse: another process has the directory open.
	ErrInUse = errors.New("the directory is locked")
	// ErrFormat: the directory is of a format that this version does not know,
	// or not a data directory.
	ErrFormat = errors.New("unknown format")
)

var errArchived = errors.New("the bytes are in the cold tier, not in the store")

// ioError classifies an error of the disk or the index. An error that has been
// classified stays as it is.
func ioError(op string, err error) error {
	var classified *mediastore.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &classified):
		return err
	case isFull(err):
		return &mediastore.Error{Op: op, Kind: mediastore.KindStorageFull, Message: "There is no room left in the store", Err: err}
	}
	return &mediastore.Error{Op: op, Kind: mediastore.KindInternal, Err: err}
}

func errClosed() error {
	return &mediastore.Error{Op: "logstore", Kind: mediastore.KindUnavailable, Message: "The store is closed"}
}

func errNoContainer(name string) error {
	return mediastore.Errorf(mediastore.KindContainerNotFound, "Container not found: %s", name)
}

func errNoObject() error {
	return mediastore.Errorf(mediastore.KindObjectNotFound, "Object not found")
}
