package logstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"headwater/internal/mediastore"
)

// The index is one ordered space of keys. Its tables are told apart by their
// first byte; docs/format-logstore.md describes them.
const (
	tableContainers = 'c' // account 0x00 name       -> container record
	tableIDs        = 'i' // container ID            -> status and owner
	tableRoots      = 'n' // container ID            -> number of items in the root
	tableItems      = 'o' // ID folder 0x00 name kind -> object record, or number of items
	tableTransient  = 't' // ID path                 -> object record of a transient version
	tableExpiry     = 'x' // moment ID path          -> nothing: one for each transient version
	tableVolumes    = 'v' // volume, big-endian      -> volume record
	tableEvents     = 'e' // position, big-endian    -> event record
	tableLeftovers  = 'g' // name                    -> since when
	tableMarks      = 'm' // name                    -> value
)

// kindFolder and kindObject end an item's key. They are lower than any byte of a
// path, so that keys come in the order of a listing: by name, folder first.
const (
	separator  = 0x00
	kindFolder = 0x00
	kindObject = 0x01
)

func containerKey(account mediastore.AccountID, name mediastore.ContainerName) []byte {
	return append(accountPrefix(account), name...)
}

func accountPrefix(account mediastore.AccountID) []byte {
	key := append([]byte{tableContainers}, account...)
	return append(key, separator)
}

func idKey(id mediastore.ContainerID) []byte { return append([]byte{tableIDs}, id...) }

func volumeKey(id volumeID) []byte {
	return binary.BigEndian.AppendUint32([]byte{tableVolumes}, uint32(id))
}

// levelPrefix is what the keys of all items directly in a folder begin with.
func levelPrefix(id mediastore.ContainerID, folder mediastore.Folder) []byte {
	key := make([]byte, 0, 1+len(id)+len(folder)+64)
	key = append(append(append(key, tableItems), id...), folder...)
	return append(key, separator)
}

func objectKey(id mediastore.ContainerID, path mediastore.Path) []byte {
	folder, name := path.Split()
	return append(append(levelPrefix(id, folder), name...), kindObject)
}

func transientKey(id mediastore.ContainerID, path mediastore.Path) []byte {
	return append(transientPrefix(id, len(path)), path...)
}

// transientPrefix is what the keys of a container's transient versions begin
// with. It has room for so many bytes more.
func transientPrefix(id mediastore.ContainerID, room int) []byte {
	key := make([]byte, 0, 1+len(id)+room)
	return append(append(key, tableTransient), id...)
}

// momentSize is how many bytes appendMoment appends.
const momentSize = 12

// appendMoment appends a time so that the order of the bytes is that of time:
// Unix seconds with the sign turned round, and nanoseconds, both big-endian.
func appendMoment(b []byte, t time.Time) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.Unix())^(1<<63))
	return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
}

// expiryPrefix is what the keys of all that expires at a moment begin with.
func expiryPrefix(t time.Time) []byte {
	return appendMoment(append(make([]byte, 0, 1+momentSize+64), tableExpiry), t)
}

func expiryKey(t time.Time, id mediastore.ContainerID, path mediastore.Path) []byte {
	return append(append(expiryPrefix(t), id...), path...)
}

func eventKey(position uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableEvents}, position)
}

func leftoverKey(name string) []byte { return append([]byte{tableLeftovers}, name...) }

func markKey(name string) []byte { return append([]byte{tableMarks}, name...) }

// countKey is where the number of items directly in a folder is kept: in the
// folder's own entry one level up, or in a table of its own for the root.
func countKey(id mediastore.ContainerID, folder mediastore.Folder) []byte {
	if folder == "" {
		return append([]byte{tableRoots}, id...)
	}
	parent, name := folder.Split()
	return append(append(levelPrefix(id, parent), name...), kindFolder)
}

// afterPrefix is the lowest key that is greater than all that begin with prefix,
// whose last byte must not be 0xff.
func afterPrefix(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	end[len(end)-1]++
	return end
}

// item is the key of an object or a folder, taken apart.
type item struct {
	id     mediastore.ContainerID
	folder mediastore.Folder
	name   string
	isDir  bool
}

func parseItemKey(key []byte) (item, error) {
	const idEnd = 1 + mediastore.ContainerIDLength
	if len(key) <= idEnd || key[0] != tableItems {
		return item{}, fmt.Errorf("%q is not an item's key", key)
	}
	folder, rest, ok := bytes.Cut(key[idEnd:], []byte{separator})
	if !ok || len(rest) < 2 || rest[len(rest)-1] > kindObject {
		return item{}, fmt.Errorf("%q is not an item's key", key)
	}
	return item{
		id:     mediastore.ContainerID(key[1:idEnd]),
		folder: mediastore.Folder(folder),
		name:   string(rest[:len(rest)-1]),
		isDir:  rest[len(rest)-1] == kindFolder,
	}, nil
}

// parseTransientKey is the reverse of transientKey.
func parseTransientKey(key []byte) (mediastore.ContainerID, mediastore.Path, error) {
	const idEnd = 1 + mediastore.ContainerIDLength
	if len(key) <= idEnd || key[0] != tableTransient {
		return "", "", fmt.Errorf("%q is not a transient version's key", key)
	}
	return mediastore.ContainerID(key[1:idEnd]), mediastore.Path(key[idEnd:]), nil
}

// parseExpiryKey returns the version that an entry of the queue stands for. Its
// moment can be had by making the key again.
func parseExpiryKey(key []byte) (mediastore.ContainerID, mediastore.Path, error) {
	const idBegin = 1 + momentSize
	const idEnd = idBegin + mediastore.ContainerIDLength
	if len(key) <= idEnd || key[0] != tableExpiry {
		return "", "", fmt.Errorf("%q is not an expiry's key", key)
	}
	return mediastore.ContainerID(key[idBegin:idEnd]), mediastore.Path(key[idEnd:]), nil
}

func parseEventKey(key []byte) (uint64, error) {
	if len(key) != 9 || key[0] != tableEvents {
		return 0, fmt.Errorf("%q is not an event's key", key)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

func parseVolumeKey(key []byte) (volumeID, error) {
	if len(key) != 5 || key[0] != tableVolumes {
		return 0, fmt.Errorf("%q is not a volume's key", key)
	}
	return volumeID(binary.BigEndian.Uint32(key[1:])), nil
}
