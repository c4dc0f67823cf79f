package logstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"headwater/internal/engine"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// NewUpload implements engine.Objects.
func (e *Engine) NewUpload(ctx context.Context, id mediastore.ContainerID, spec engine.UploadSpec) (engine.Upload, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.exit()
	if err := e.checkSpace(0); err != nil {
		return nil, err
	}
	return newUpload(e, id, spec), nil
}

// putObject makes an upload the current version.
type putObject struct {
	id     mediastore.ContainerID
	pre    mediastore.Precondition
	class  class
	record objectRecord
	value  []byte // the record, encoded
}

func (op *putObject) apply(tx *txn) error {
	o, err := tx.owner(op.id)
	if err != nil {
		return err
	}
	if o.status != mediastore.StatusActive {
		return errNoContainer(string(op.id))
	}
	record := &op.record
	old, found, err := lookupVersion(tx.batch, op.id, record.object.Path, withoutBody)
	if err != nil {
		return err
	}
	if err := checkCurrent(&op.pre, &old, found); err != nil {
		return err
	}
	if err := op.recount(tx, found && !old.transient()); err != nil {
		return err
	}
	if found {
		op.replace(tx, &old)
	}
	tx.occupy(op.class, record.extents)
	tx.set(record.key(op.id), op.value)
	if record.transient() {
		tx.expire(op.id, &record.object)
	}
	tx.emitObject(o, op.id, event.ObjectUpdated, &record.object, op.pre.At)
	return nil
}

// recount counts the object in its folder when it appears in listings, and no
// longer when it vanishes from them.
func (op *putObject) recount(tx *txn, wasListed bool) error {
	switch listed := !op.record.transient(); {
	case listed && !wasListed:
		return addItem(tx, op.id, op.record.object.Path)
	case wasListed && !listed:
		return dropItem(tx, op.id, op.record.object.Path)
	}
	return nil
}

// replace lets go of the version that was current. Its record need not be deleted
// where the new one is about to take its place.
func (op *putObject) replace(tx *txn, old *objectRecord) {
	tx.letGo(op.id, old, op.pre.At)
	if old.transient() || op.record.transient() {
		tx.deleteRecord(op.id, old)
	}
}

func checkCurrent(pre *mediastore.Precondition, current *objectRecord, found bool) error {
	if !found {
		return pre.Check(nil)
	}
	return pre.Check(&current.object)
}

// addItem counts a new object in its folder, and the folders that come into
// being with it in theirs.
func addItem(tx *txn, id mediastore.ContainerID, path mediastore.Path) error {
	counts, err := folderCounts(tx, id, path, func(n int64) bool { return n > 0 })
	for _, c := range counts {
		tx.set(c.key, encodeCount(c.n+1))
	}
	return err
}

// dropItem is the reverse of addItem: folders that hold nothing any more vanish.
func dropItem(tx *txn, id mediastore.ContainerID, path mediastore.Path) error {
	counts, err := folderCounts(tx, id, path, func(n int64) bool { return n > 1 })
	for _, c := range counts {
		if c.n > 1 {
			tx.set(c.key, encodeCount(c.n-1))
		} else {
			tx.delete(c.key)
		}
	}
	return err
}

type folderCount struct {
	key []byte
	n   int64
}

// folderCounts reads how many items the folders above a path hold, from the
// innermost outwards to the first for which last is true.
func folderCounts(tx *txn, id mediastore.ContainerID, path mediastore.Path, last func(int64) bool) ([]folderCount, error) {
	var counts []folderCount
	folder, _ := path.Split()
	for {
		key := countKey(id, folder)
		n, _, err := lookup(tx.batch, key, decodeCount)
		if err != nil {
			return nil, err
		}
		counts = append(counts, folderCount{key, n})
		if folder == "" || last(n) {
			return counts, nil
		}
		folder, _ = folder.Split()
	}
}

// DeleteObject implements engine.Objects.
func (e *Engine) DeleteObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path, pre mediastore.Precondition) (mediastore.Object, error) {
	if err := e.enter(ctx); err != nil {
		return mediastore.Object{}, err
	}
	defer e.exit()
	op := &deleteObject{id: id, path: path, pre: pre}
	if err := e.committer.submit(ctx, op, 0); err != nil {
		return mediastore.Object{}, err
	}
	return op.gone, nil
}

type deleteObject struct {
	id   mediastore.ContainerID
	path mediastore.Path
	pre  mediastore.Precondition
	gone mediastore.Object
}

func (op *deleteObject) apply(tx *txn) error {
	o, err := tx.owner(op.id)
	if err != nil {
		return err
	}
	old, found, err := lookupVersion(tx.batch, op.id, op.path, withoutBody)
	if err != nil {
		return err
	}
	if !found || old.object.Expired(op.pre.At) {
		return errNoObject()
	}
	if err := op.pre.Check(&old.object); err != nil {
		return err
	}
	if err := removeVersion(tx, op.id, &old, op.pre.At); err != nil {
		return err
	}
	tx.emitObject(o, op.id, event.ObjectRemoved, &old.object, op.pre.At)
	op.gone = old.object
	return nil
}

// removeVersion removes a version that is current.
func removeVersion(tx *txn, id mediastore.ContainerID, old *objectRecord, at time.Time) error {
	if !old.transient() {
		if err := dropItem(tx, id, old.object.Path); err != nil {
			return err
		}
	}
	tx.letGo(id, old, at)
	tx.deleteRecord(id, old)
	return nil
}

// StatObject implements engine.Objects.
func (e *Engine) StatObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (mediastore.Object, error) {
	if err := e.enter(ctx); err != nil {
		return mediastore.Object{}, err
	}
	defer e.exit()
	record, err := e.index.current(id, path, withoutBody)
	if err != nil {
		return mediastore.Object{}, err
	}
	return record.object, nil
}

// OpenObject implements engine.Objects.
func (e *Engine) OpenObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (engine.Reader, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.exit()
	var seen []extent
	for {
		record, err := e.index.current(id, path, withBody)
		if err != nil {
			return nil, err
		}
		r, err := newReader(e, record)
		if err == nil {
			return r, nil
		}
		// Between the look and the opening the version may have been replaced,
		// or moved, and its volume removed. When it is still in the same place,
		// the volume is lost.
		if !errors.Is(err, fs.ErrNotExist) || slices.Equal(record.extents, seen) {
			return nil, damaged(path, err)
		}
		seen = record.extents
	}
}

func damaged(path mediastore.Path, err error) error {
	return ioError("logstore.read", fmt.Errorf("object %s: %w", path, err))
}

// ListItems implements engine.Objects.
func (e *Engine) ListItems(ctx context.Context, id mediastore.ContainerID, folder mediastore.Folder, after engine.Position, limit int) ([]mediastore.Item, bool, error) {
	if err := e.enter(ctx); err != nil {
		return nil, false, err
	}
	defer e.exit()
	if _, err := lookupOwner(e.index, id); err != nil {
		return nil, false, err
	}
	page := listing{folder: folder, prefix: levelPrefix(id, folder), limit: limit}
	if err := scan(e.index, page.prefix, page.from(after), page.visit); err != nil {
		return nil, false, err
	}
	return page.items, page.more, nil
}

// listing gathers a page of a folder.
type listing struct {
	folder mediastore.Folder
	prefix []byte
	limit  int
	items  []mediastore.Item
	more   bool
}

// from is the lowest key after a position.
func (l *listing) from(after engine.Position) []byte {
	if after == (engine.Position{}) {
		return l.prefix
	}
	kind := byte(kindObject)
	if after.Folder {
		kind = kindFolder
	}
	key := append([]byte(nil), l.prefix...)
	return append(append(key, after.Name...), kind, 0)
}

func (l *listing) visit(key []byte, it *pebble.Iterator) (bool, error) {
	if len(l.items) >= l.limit {
		l.more = true
		return false, nil
	}
	rest := key[len(l.prefix):]
	name, kind := string(rest[:len(rest)-1]), rest[len(rest)-1]
	if kind == kindFolder {
		l.items = append(l.items, mediastore.Item{Name: name, Folder: true})
		return true, nil
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	record, err := withoutBody(value)
	if err != nil {
		return false, fmt.Errorf("%q: %w", key, err)
	}
	record.object.Path = l.folder.Join(name)
	l.items = append(l.items, mediastore.Item{Name: name, Object: record.object})
	return true, nil
}
