package logstore

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"headwater/internal/mediastore"
)

// The bounds of one page of a walk: how many keys are looked at and how many
// bytes in volumes they may stand for. No iterator is open between two pages, so
// that a walk that takes days holds nothing back.
const (
	pageKeys  = 4096
	pageBytes = 8 << 20
)

// located is a version with the container that it is in.
type located struct {
	id     mediastore.ContainerID
	record objectRecord // without what is inline
}

// walkPage is a part of a walk through the versions of all containers that have bytes
// in volumes, in the order of their keys.
type walkPage struct {
	wanted func(*objectRecord) bool // of those that have extents

	versions []located
	damaged  []error // records that cannot be read
	next     []byte  // the key where the next page begins; nil after the last one
	read     int64   // bytes of the index that were looked at

	keys, bytes int64
}

func walkStart() []byte { return []byte{tableItems} }

// readPage reads the versions from a key on.
func readPage(r pebble.Reader, from []byte, wanted func(*objectRecord) bool) (*walkPage, error) {
	p := &walkPage{wanted: wanted}
	for _, table := range []byte{tableItems, tableTransient} { // in the order of their bytes
		begin, end := []byte{table}, []byte{table + 1}
		if bytes.Compare(from, begin) > 0 {
			begin = from
		}
		if err := scanRange(r, begin, end, p.visit); err != nil || p.next != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *walkPage) visit(key []byte, it *pebble.Iterator) (bool, error) {
	if p.keys >= pageKeys || p.bytes >= pageBytes {
		p.next = bytes.Clone(key)
		return false, nil
	}
	p.keys++
	value, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	p.read += int64(len(key) + len(value))
	p.add(key, value)
	return true, nil
}

func (p *walkPage) add(key, value []byte) {
	id, path, isObject, err := parseVersionKey(key)
	if err == nil && !isObject {
		return
	}
	record, decodeErr := withoutBody(value)
	if err != nil || decodeErr != nil {
		p.damaged = append(p.damaged, fmt.Errorf("%q: %w", key, errRecord))
		return
	}
	if len(record.extents) == 0 || !p.wanted(&record) {
		return
	}
	record.object.Path = path
	p.versions = append(p.versions, located{id, record})
	p.bytes += record.object.Size
}

// parseVersionKey takes a key of one of the two tables of versions apart. That of
// a folder is no object's.
func parseVersionKey(key []byte) (id mediastore.ContainerID, path mediastore.Path, isObject bool, err error) {
	if key[0] == tableTransient {
		id, path, err = parseTransientKey(key)
		return id, path, err == nil, err
	}
	it, err := parseItemKey(key)
	if err != nil {
		return "", "", false, err
	}
	return it.id, it.folder.Join(it.name), !it.isDir, nil
}

// pace keeps work in the background to a share of the disk. It needs no clock:
// after a piece of work it rests for as long as the piece may take.
type pace struct {
	rate int64 // bytes per second
	debt time.Duration
}

// shortestRest is what a timer can keep.
const shortestRest = 10 * time.Millisecond

// spend accounts for n bytes, and rests when it is time to. It fails when ctx
// has ended.
func (p *pace) spend(ctx context.Context, n int64) error {
	p.debt += time.Duration(float64(n) / float64(p.rate) * float64(time.Second))
	if p.debt < shortestRest {
		return ctx.Err()
	}
	debt := p.debt
	p.debt = 0
	return rest(ctx, debt)
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
