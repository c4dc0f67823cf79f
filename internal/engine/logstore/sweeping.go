package logstore

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"headwater/internal/engine"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// DueObjects implements engine.Sweeping.
func (e *Engine) DueObjects(ctx context.Context, t time.Time, limit int) ([]engine.Due, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.exit()
	from, raises := e.index.expiries.begin()
	s := dueSearch{to: expiryPrefix(t.Add(1)), limit: limit}
	err := s.run(e.index, from)
	if raises {
		e.index.expiries.end(s.lowest)
	}
	return s.due, err
}

// dueSearch gathers what expires before a key.
type dueSearch struct {
	to     []byte
	limit  int
	due    []engine.Due
	lowest []byte // there is no key below it
}

func (s *dueSearch) run(x *index, from []byte) error {
	snapshot := x.NewSnapshot()
	defer snapshot.Close()
	lowest := s.to
	err := scanRange(snapshot, from, s.to, func(key []byte, _ *pebble.Iterator) (bool, error) {
		if len(s.due) == 0 {
			lowest = bytes.Clone(key)
		}
		if len(s.due) >= s.limit {
			return false, nil
		}
		due, err := lookupDue(snapshot, key)
		s.due = append(s.due, due)
		return true, err
	})
	if err != nil {
		return err
	}
	s.lowest = lowest
	return nil
}

// lookupDue finds the version that an entry of the table of expiries stands for.
func lookupDue(r pebble.Reader, key []byte) (engine.Due, error) {
	id, path, err := parseExpiryKey(key)
	if err != nil {
		return engine.Due{}, err
	}
	record, found, err := lookup(r, transientKey(id, path), withoutBody)
	if err == nil && !found {
		err = fmt.Errorf("%q: %w", key, errRecord)
	}
	record.object.Path = path
	return engine.Due{Container: id, Object: record.object}, err
}

// WalkObjects implements engine.Sweeping. The order is that of the keys: folder
// by folder.
func (e *Engine) WalkObjects(ctx context.Context, id mediastore.ContainerID, after mediastore.Path, limit int) (page []mediastore.Object, more bool, err error) {
	if err := e.enter(ctx); err != nil {
		return nil, false, err
	}
	defer e.exit()
	if _, err := lookupOwner(e.index, id); err != nil {
		return nil, false, err
	}
	prefix := append([]byte{tableItems}, id...)
	from := prefix
	if after != "" {
		from = append(objectKey(id, after), 0)
	}
	err = scan(e.index, prefix, from, func(key []byte, it *pebble.Iterator) (bool, error) {
		if key[len(key)-1] == kindFolder {
			return true, nil
		}
		if more = len(page) >= limit; more {
			return false, nil
		}
		object, err := walkedObject(key, it)
		page = append(page, object)
		return true, err
	})
	if err != nil {
		return nil, false, err
	}
	return page, more, nil
}

func walkedObject(key []byte, it *pebble.Iterator) (mediastore.Object, error) {
	item, err := parseItemKey(key)
	if err != nil {
		return mediastore.Object{}, err
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return mediastore.Object{}, err
	}
	record, err := withoutBody(value)
	if err != nil {
		return mediastore.Object{}, fmt.Errorf("%q: %w", key, err)
	}
	record.object.Path = item.folder.Join(item.name)
	return record.object, nil
}

// RemoveVersions implements engine.Sweeping.
func (e *Engine) RemoveVersions(ctx context.Context, id mediastore.ContainerID, versions []engine.VersionID, at time.Time, silent bool) ([]mediastore.Object, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.exit()
	op := &removeVersions{id: id, versions: versions, at: at, silent: silent}
	const each = 512 // bytes, about
	if err := e.committer.submit(ctx, op, each*len(versions)); err != nil {
		return nil, err
	}
	return op.gone, nil
}

type removeVersions struct {
	id       mediastore.ContainerID
	versions []engine.VersionID
	at       time.Time
	silent   bool
	gone     []mediastore.Object
}

func (op *removeVersions) apply(tx *txn) error {
	o, err := tx.owner(op.id)
	if mediastore.IsKind(err, mediastore.KindContainerNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	records, err := op.current(tx)
	if err != nil {
		return err
	}
	for i := range records {
		if err := removeVersion(tx, op.id, &records[i], op.at); err != nil {
			tx.note(err) // some are removed by now: nothing of the group may stay
			return err
		}
		if !op.silent {
			tx.emitObject(o, op.id, event.ObjectRemoved, &records[i].object, op.at)
		}
		op.gone = append(op.gone, records[i].object)
	}
	return nil
}

// current finds those of the versions that are current, each once.
func (op *removeVersions) current(tx *txn) ([]objectRecord, error) {
	var records []objectRecord
	seen := make(map[engine.VersionID]bool, len(op.versions))
	for _, v := range op.versions {
		if seen[v] {
			continue
		}
		seen[v] = true
		record, found, err := lookupVersion(tx.batch, op.id, v.Path, withoutBody)
		if err != nil {
			return nil, err
		}
		if found && record.object.ETag == v.ETag {
			records = append(records, record)
		}
	}
	return records, nil
}

// ArchiveVersion implements engine.Sweeping.
func (e *Engine) ArchiveVersion(ctx context.Context, id mediastore.ContainerID, v engine.VersionID, moved bool) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.exit()
	return e.committer.submit(ctx, &archiveVersion{id, v, moved}, 0)
}

type archiveVersion struct {
	id      mediastore.ContainerID
	version engine.VersionID
	moved   bool
}

func (op *archiveVersion) apply(tx *txn) error {
	record, found, err := lookupVersion(tx.batch, op.id, op.version.Path, withBody)
	if err != nil {
		return err
	}
	if !found || record.object.ETag != op.version.ETag {
		return errNoObject()
	}
	record.object.InfrequentAccess = true
	if op.moved {
		tx.vacate(record.extents)
		tx.delete(leftoverKey(mediastore.ArchiveName(op.id, record.object.ETag)))
		record.object.Archived, record.extents, record.inline = true, nil, nil
	}
	tx.set(record.key(op.id), record.encode())
	return nil
}

// NoteLeftover implements engine.Sweeping.
func (e *Engine) NoteLeftover(ctx context.Context, name string, since time.Time) error {
	return e.write(ctx, entry{leftoverKey(name), encodeTime(since)})
}

// Leftovers implements engine.Sweeping. It looks at all of them: they are few,
// and soon gone.
func (e *Engine) Leftovers(ctx context.Context, t time.Time, limit int) (names []string, err error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.exit()
	prefix := leftoverKey("")
	err = scan(e.index, prefix, prefix, func(key []byte, it *pebble.Iterator) (bool, error) {
		value, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		since, err := decodeTime(value)
		if err == nil && since.Before(t) && len(names) < limit {
			names = append(names, string(key[len(prefix):]))
		}
		return len(names) < limit, err
	})
	return names, err
}

// ForgetLeftovers implements engine.Sweeping.
func (e *Engine) ForgetLeftovers(ctx context.Context, names []string) error {
	entries := make([]entry, len(names))
	for i, name := range names {
		entries[i].key = leftoverKey(name)
	}
	return e.write(ctx, entries...)
}

// write changes entries of the index that nothing else rests on, together.
func (e *Engine) write(ctx context.Context, entries ...entry) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.exit()
	size := 0
	for _, entry := range entries {
		size += len(entry.key) + len(entry.value)
	}
	return e.committer.submit(ctx, writeEntries(entries), size)
}

// entry is a key with its new value, nil for none.
type entry struct{ key, value []byte }

type writeEntries []entry

func (op writeEntries) apply(tx *txn) error {
	for _, e := range op {
		if e.value == nil {
			tx.delete(e.key)
		} else {
			tx.set(e.key, e.value)
		}
	}
	return nil
}
