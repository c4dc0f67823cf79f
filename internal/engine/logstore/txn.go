package logstore

import (
	"bytes"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// txn is the change that a group makes: a batch that reads see, and how many
// bytes it adds to and takes from each volume.
type txn struct {
	batch    *pebble.Batch
	live     map[volumeID]*volumeChange
	owners   map[mediastore.ContainerID]owner // those that are known, as the batch has them
	position uint64                           // of the last event
	earliest []byte                           // the lowest key that was added to the table of expiries
	err      error                            // the first failure of a write to the batch
}

type volumeChange struct {
	class class
	bytes int64
}

// newTxn begins a change after the event at a position. When the change fails,
// nobody has seen the positions that it gave, and they are given again.
func newTxn(db *pebble.DB, owners map[mediastore.ContainerID]owner, position uint64) *txn {
	return &txn{batch: db.NewIndexedBatch(), live: make(map[volumeID]*volumeChange), owners: owners, position: position}
}

// owner is lookupOwner, for what every change asks.
func (tx *txn) owner(id mediastore.ContainerID) (owner, error) {
	if o, known := tx.owners[id]; known {
		return o, nil
	}
	o, err := lookupOwner(tx.batch, id)
	if err == nil {
		tx.owners[id] = o
	}
	return o, err
}

func (tx *txn) setOwner(c *mediastore.Container) {
	tx.owners[c.ID] = ownerOf(c)
	tx.set(idKey(c.ID), ownerOf(c).encode())
}

func (tx *txn) dropOwner(id mediastore.ContainerID) {
	delete(tx.owners, id)
	tx.delete(idKey(id))
}

func (tx *txn) set(key, value []byte) { tx.note(tx.batch.Set(key, value, nil)) }
func (tx *txn) delete(key []byte)     { tx.note(tx.batch.Delete(key, nil)) }

func (tx *txn) note(err error) {
	if tx.err == nil {
		tx.err = err
	}
}

// occupy and vacate account for the extents of a version that comes and goes.
func (tx *txn) occupy(c class, extents []extent) {
	for _, x := range extents {
		change := tx.change(x.volume)
		change.class = c
		change.bytes += footprint(x.length)
	}
}

func (tx *txn) vacate(extents []extent) {
	for _, x := range extents {
		tx.change(x.volume).bytes -= footprint(x.length)
	}
}

func (tx *txn) change(id volumeID) *volumeChange {
	change := tx.live[id]
	if change == nil {
		change = &volumeChange{}
		tx.live[id] = change
	}
	return change
}

func (tx *txn) liveChange() (bytes int64) {
	for _, change := range tx.live {
		bytes += change.bytes
	}
	return bytes
}

// letGo accounts for the bytes of a version that is not current any more.
func (tx *txn) letGo(id mediastore.ContainerID, old *objectRecord, at time.Time) {
	tx.vacate(old.extents)
	if old.object.Archived {
		tx.set(leftoverKey(mediastore.ArchiveName(id, old.object.ETag)), encodeTime(at))
	}
}

// deleteRecord deletes a version's record, and its place among what expires.
func (tx *txn) deleteRecord(id mediastore.ContainerID, old *objectRecord) {
	tx.delete(old.key(id))
	if old.transient() {
		tx.delete(expiryKey(old.object.ExpiresAt, id, old.object.Path))
	}
}

// expire gives a transient version its place among what expires.
func (tx *txn) expire(id mediastore.ContainerID, o *mediastore.Object) {
	key := expiryKey(o.ExpiresAt, id, o.Path)
	if tx.earliest == nil || bytes.Compare(key, tx.earliest) < 0 {
		tx.earliest = key
	}
	tx.set(key, nil)
}

func (tx *txn) emitContainer(c *mediastore.Container, kind event.Kind, at time.Time) {
	tx.emit(event.Event{Kind: kind, Time: at, Account: c.Account, Container: c.Name, ContainerID: c.ID})
}

func (tx *txn) emitObject(o owner, id mediastore.ContainerID, kind event.Kind, object *mediastore.Object, at time.Time) {
	tx.emit(event.Event{
		Kind: kind, Time: at, Account: o.account, Container: o.name, ContainerID: id,
		Path: object.Path, ETag: object.ETag, Size: object.Size,
	})
}

// emit gives an event the next position.
func (tx *txn) emit(ev event.Event) {
	tx.position++
	tx.set(eventKey(tx.position), encodeEvent(&ev))
}

// settleVolumes writes the records of the volumes that the group has touched. It
// returns for each whether it is empty now.
func (tx *txn) settleVolumes() (map[volumeID]bool, error) {
	emptied := make(map[volumeID]bool, len(tx.live))
	for id, change := range tx.live {
		record, found, err := lookup(tx.batch, volumeKey(id), decodeVolume)
		if err != nil {
			return nil, err
		}
		if !found {
			record.class = change.class
		}
		record.live += change.bytes
		emptied[id] = record.live <= 0
		if record.live <= 0 {
			tx.delete(volumeKey(id))
		} else {
			tx.set(volumeKey(id), record.encode())
		}
	}
	return emptied, ioError("logstore.commit", tx.err)
}
