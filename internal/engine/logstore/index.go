package logstore

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"headwater/internal/mediastore"
)

// index is Pebble with what keeps a failure of its disk from being ours.
type index struct {
	*pebble.DB
	fuse     *fuse
	backlog  *backlog
	expiries *floor
}

// openIndex opens Pebble behind a fuse. The format of its files is pinned, so
// that a newer Pebble does not move a store out of reach of an older Headwater
// unasked.
func openIndex(dir string, o *Options) (*index, error) {
	x := &index{fuse: &fuse{FS: o.FS, dir: dir, log: o.Log, reserve: newReserve(o)}, backlog: newBacklog(o.memTableSize, o.Log), expiries: newFloor()}
	x.fuse.opening.Store(true)
	db, err := pebble.Open(dir, x.options(o))
	x.fuse.opening.Store(false)
	if x.fuse.blown() {
		if err == nil {
			err = db.Close()
		}
		return nil, errors.Join(x.fuse.err(), err)
	}
	if err != nil {
		return nil, err
	}
	x.DB = db
	return x, nil
}

func (x *index) options(o *Options) *pebble.Options {
	listener := &pebble.EventListener{DataCorruption: reportCorruption(o.Log)}
	x.backlog.listen(listener)
	options := &pebble.Options{
		FS:       x.fuse,
		ReadOnly: o.readOnly,
		// Pebble takes the room of its memory tables, of which two may be there, from
		// that of the cache.
		CacheSize:          o.CacheSize + 2*int64(o.memTableSize),
		FormatMajorVersion: pebble.FormatValueSeparation,
		Logger:             indexLog{o.Log, x.fuse},
		MemTableSize:       o.memTableSize,
		EventListener:      listener,
		// Out of reach: backlog takes their place.
		MemTableStopWritesThreshold: 1 << 10,
		L0StopWritesThreshold:       1 << 10,
	}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return options
}

// commit makes a batch durable. A failure before the batch is in the log leaves
// everything as it was. A failure of the log leaves it open whether the batch is
// in it: that blows the fuse, and the next Open finds out.
func (x *index) commit(batch *pebble.Batch) error {
	if err := x.backlog.wait(x.DB); err != nil {
		return err
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		x.fuse.blow(err)
	}
	return x.fuse.err()
}

func reportCorruption(log *slog.Logger) func(pebble.DataCorruptionInfo) {
	return func(info pebble.DataCorruptionInfo) { log.Error("the index is damaged", "detail", info.String()) }
}

// indexLog is where Pebble writes. What it calls fatal blows the fuse instead of
// ending the process.
type indexLog struct {
	log  *slog.Logger
	fuse *fuse
}

func (l indexLog) Infof(format string, args ...any) {
	l.log.Debug("index", "detail", fmt.Sprintf(format, args...))
}

func (l indexLog) Errorf(format string, args ...any) {
	l.log.Error("index", "detail", fmt.Sprintf(format, args...))
}

func (l indexLog) Fatalf(format string, args ...any) {
	l.fuse.blow(fmt.Errorf(format, args...))
}

// lookup reads and decodes one record; found is false when there is none. What
// decode returns must not share memory with its argument.
func lookup[T any](r pebble.Reader, key []byte, decode func([]byte) (T, error)) (value T, found bool, err error) {
	b, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return value, false, nil
	}
	if err != nil {
		return value, false, ioError("logstore.lookup", err)
	}
	defer closer.Close()
	value, err = decode(b)
	if err != nil {
		return value, false, ioError("logstore.lookup", fmt.Errorf("%q: %w", key, err))
	}
	return value, true, nil
}

func lookupOwner(r pebble.Reader, id mediastore.ContainerID) (owner, error) {
	o, found, err := lookup(r, idKey(id), decodeOwner)
	if err == nil && !found {
		err = errNoContainer(string(id))
	}
	return o, err
}

func lookupContainer(r pebble.Reader, account mediastore.AccountID, name mediastore.ContainerName) (mediastore.Container, error) {
	c, found, err := lookup(r, containerKey(account, name), decodeContainer)
	if err == nil && !found {
		err = errNoContainer(string(name))
	}
	return c, err
}

// withoutBody and withBody decode an object's record without and with a copy of
// what is inline in it.
func withoutBody(b []byte) (objectRecord, error) {
	r, err := decodeObject(b)
	r.inline = nil
	return r, err
}

func withBody(b []byte) (objectRecord, error) {
	r, err := decodeObject(b)
	r.inline = bytes.Clone(r.inline)
	return r, err
}

// lookupVersion finds the current version at a path, which lies in one of two
// tables. r must not change between the two looks, or a version that moves from
// one to the other can be missed.
func lookupVersion(r pebble.Reader, id mediastore.ContainerID, path mediastore.Path, decode func([]byte) (objectRecord, error)) (record objectRecord, found bool, err error) {
	record, found, err = lookup(r, objectKey(id, path), decode)
	if err == nil && !found {
		record, found, err = lookup(r, transientKey(id, path), decode)
	}
	record.object.Path = path
	return record, found, err
}

// current finds the current version at a path. Only who does not find it at once
// pays for a snapshot.
func (x *index) current(id mediastore.ContainerID, path mediastore.Path, decode func([]byte) (objectRecord, error)) (objectRecord, error) {
	record, found, err := lookupVersion(x, id, path, decode)
	if err != nil || found {
		return record, err
	}
	snapshot := x.NewSnapshot()
	defer snapshot.Close()
	record, found, err = lookupVersion(snapshot, id, path, decode)
	if err != nil || found {
		return record, err
	}
	if _, err := lookupOwner(snapshot, id); err != nil {
		return record, err
	}
	return record, errNoObject()
}

// scan calls visit for every key that begins with prefix, from the given key on,
// until visit returns false.
func scan(r pebble.Reader, prefix, from []byte, visit func(key []byte, it *pebble.Iterator) (bool, error)) error {
	return scanRange(r, from, afterPrefix(prefix), visit)
}

// scanRange does so for every key from one on and before another.
func scanRange(r pebble.Reader, from, to []byte, visit func(key []byte, it *pebble.Iterator) (bool, error)) error {
	if bytes.Compare(from, to) >= 0 {
		return nil
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return ioError("logstore.scan", err)
	}
	err = visitAll(it, visit)
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	return ioError("logstore.scan", err)
}

func visitAll(it *pebble.Iterator, visit func(key []byte, it *pebble.Iterator) (bool, error)) error {
	for ok := it.First(); ok; ok = it.Next() {
		if more, err := visit(it.Key(), it); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// loadVolumes reads the records of all volumes.
func loadVolumes(r pebble.Reader) (map[volumeID]volumeRecord, error) {
	live := make(map[volumeID]volumeRecord)
	prefix := []byte{tableVolumes}
	err := scan(r, prefix, prefix, func(key []byte, it *pebble.Iterator) (bool, error) {
		id, err := parseVolumeKey(key)
		if err != nil {
			return false, err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		live[id], err = decodeVolume(value)
		return true, err
	})
	return live, err
}
