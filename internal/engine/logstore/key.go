package logstore

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"headwater/internal/mediastore"
)

// The index is one ordered space of keys. Its tables are told apart by their
// first byte; docs/format-logstore.md describes them.
const (
	tableContainers = 'c' // account 0x00 name       -> container record
	tableIDs        = 'i' // container ID            -> status and owner
	tableRoots      = 'n' // container ID            -> number of items in the root
	tableItems      = 'o' // ID folder 0x00 name kind -> object record, or number of items
	tableVolumes    = 'v' // volume, big-endian      -> volume record
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

func parseVolumeKey(key []byte) (volumeID, error) {
	if len(key) != 5 || key[0] != tableVolumes {
		return 0, fmt.Errorf("%q is not a volume's key", key)
	}
	return volumeID(binary.BigEndian.Uint32(key[1:])), nil
}
