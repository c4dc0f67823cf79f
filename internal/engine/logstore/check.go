package logstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"headwater/internal/mediastore"
)

// maxProblems is after how many problems a check gives up.
const maxProblems = 100

// check walks the whole index and reports what contradicts itself: folders whose
// counts are not those of their items, containers that are known by one key
// only, transient versions that have no expiry or are items as well, events that
// cannot be read, extents that overlap or lie outside their volume, live bytes
// that do not add up. When bodies is true it also reads every body and holds it against its
// checksums. The store should be quiet: a volume that is removed meanwhile is
// reported as missing.
func (e *Engine) check(bodies bool) error {
	if err := e.enter(context.Background()); err != nil {
		return err
	}
	defer e.exit()
	snapshot := e.index.NewSnapshot()
	defer snapshot.Close()
	c := &checker{engine: e, r: snapshot, bodies: bodies, spans: make(map[volumeID][]span)}
	for _, step := range []func() error{
		c.checkContainers, c.checkIDs, c.checkRoots, c.checkItems, c.checkTransient, c.checkExpiries,
		c.checkEvents, c.checkLeftovers, c.checkVolumes,
	} {
		if err := step(); err != nil {
			c.problems = append(c.problems, err)
		}
	}
	return errors.Join(c.problems...)
}

type checker struct {
	engine   *Engine
	r        pebble.Reader
	bodies   bool
	problems []error
	spans    map[volumeID][]span
	level    level
}

// level is the folder whose items are being walked.
type level struct {
	id     mediastore.ContainerID
	folder mediastore.Folder
	items  int64
}

// span is what one extent occupies in its volume.
type span struct{ from, to, used int64 }

var errTooMany = errors.New("too many problems: the check gave up")

func (c *checker) report(format string, args ...any) error {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
	if len(c.problems) >= maxProblems {
		return errTooMany
	}
	return nil
}

// table walks one table of the index.
func (c *checker) table(table byte, visit func(key, value []byte) error) error {
	prefix := []byte{table}
	return scan(c.r, prefix, prefix, func(key []byte, it *pebble.Iterator) (bool, error) {
		value, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		return true, visit(key, value)
	})
}

func (c *checker) checkContainers() error {
	return c.table(tableContainers, func(key, value []byte) error {
		container, err := decodeContainer(value)
		if err != nil {
			return c.report("container %q: %w", key, err)
		}
		o, err := lookupOwner(c.r, container.ID)
		if err != nil || o != ownerOf(&container) {
			return c.report("container %q: its ID leads to %+v (%v)", key, o, err)
		}
		return nil
	})
}

func (c *checker) checkIDs() error {
	return c.table(tableIDs, func(key, value []byte) error {
		o, err := decodeOwner(value)
		if err != nil {
			return c.report("ID %q: %w", key, err)
		}
		container, err := lookupContainer(c.r, o.account, o.name)
		if err != nil || string(container.ID) != string(key[1:]) {
			return c.report("ID %q: leads to the container with the ID %q (%v)", key, container.ID, err)
		}
		return nil
	})
}

func (c *checker) checkRoots() error {
	return c.table(tableRoots, func(key, _ []byte) error {
		return c.checkNotEmpty(mediastore.ContainerID(key[1:]), "")
	})
}

// checkNotEmpty: a folder that is counted must have items.
func (c *checker) checkNotEmpty(id mediastore.ContainerID, folder mediastore.Folder) error {
	empty, err := isEmpty(c.r, levelPrefix(id, folder))
	if err == nil && empty {
		err = c.report("folder %q of %s: has an entry and no items", folder, id)
	}
	return err
}

func (c *checker) checkItems() error {
	err := c.table(tableItems, func(key, value []byte) error {
		it, err := parseItemKey(key)
		if err != nil {
			return c.report("%w", err)
		}
		if err := c.enterLevel(it); err != nil {
			return err
		}
		c.level.items++
		if it.isDir {
			return c.checkNotEmpty(it.id, mediastore.Folder(it.folder.Join(it.name)))
		}
		return c.checkItem(it, value)
	})
	if err != nil {
		return err
	}
	return c.leaveLevel()
}

// enterLevel notices when the walk comes to the next folder: the items of one
// are together.
func (c *checker) enterLevel(it item) error {
	if c.level.items > 0 && it.id == c.level.id && it.folder == c.level.folder {
		return nil
	}
	if err := c.leaveLevel(); err != nil {
		return err
	}
	c.level = level{id: it.id, folder: it.folder}
	return c.checkHolder(it.id, it.folder.Join(it.name))
}

// checkHolder: what holds a version is an ACTIVE container.
func (c *checker) checkHolder(id mediastore.ContainerID, path mediastore.Path) error {
	if o, err := lookupOwner(c.r, id); err != nil || o.status != mediastore.StatusActive {
		return c.report("%q: its container %s has the status %q (%v)", path, id, o.status, err)
	}
	return nil
}

func (c *checker) leaveLevel() error {
	l := c.level
	if l.items == 0 {
		return nil
	}
	n, _, err := lookup(c.r, countKey(l.id, l.folder), decodeCount)
	if err != nil || n != l.items {
		return c.report("folder %q of %s: has %d items and counts %d (%v)", l.folder, l.id, l.items, n, err)
	}
	return nil
}

func (c *checker) checkItem(it item, value []byte) error {
	path := it.folder.Join(it.name)
	record, err := c.checkObject(it.id, path, value)
	if err == nil && record.transient() {
		err = c.report("object %s/%s: is an item and expires", it.id, path)
	}
	return err
}

// checkTransient: a transient version is no item, and has its place among what
// expires.
func (c *checker) checkTransient() error {
	return c.table(tableTransient, func(key, value []byte) error {
		id, path, err := parseTransientKey(key)
		if err != nil {
			return c.report("%w", err)
		}
		record, err := c.checkObject(id, path, value)
		if err != nil {
			return err
		}
		if !record.transient() || !c.has(expiryKey(record.object.ExpiresAt, id, path)) {
			err = c.report("object %s/%s: expires at %v and is not noted there", id, path, record.object.ExpiresAt)
		}
		if c.has(objectKey(id, path)) {
			err = errors.Join(err, c.report("object %s/%s: there are two", id, path))
		}
		return errors.Join(err, c.checkHolder(id, path))
	})
}

// checkExpiries is the reverse: what is to expire is a version that does then.
func (c *checker) checkExpiries() error {
	return c.table(tableExpiry, func(key, _ []byte) error {
		due, err := lookupDue(c.r, key)
		if err != nil {
			return c.report("expiry: %w", err)
		}
		if !bytes.Equal(expiryKey(due.Object.ExpiresAt, due.Container, due.Object.Path), key) {
			return c.report("expiry %q: the version expires at %v", key, due.Object.ExpiresAt)
		}
		return nil
	})
}

func (c *checker) has(key []byte) bool {
	_, found, err := lookup(c.r, key, func([]byte) (struct{}, error) { return struct{}{}, nil })
	return err == nil && found
}

func (c *checker) checkEvents() error {
	return c.table(tableEvents, func(key, value []byte) error {
		if _, err := parseEventKey(key); err != nil {
			return c.report("%w", err)
		}
		if _, err := decodeEvent(value); err != nil {
			return c.report("event %x: %w", key, err)
		}
		return nil
	})
}

func (c *checker) checkLeftovers() error {
	return c.table(tableLeftovers, func(key, value []byte) error {
		if _, err := decodeTime(value); err != nil {
			return c.report("leftover %q: %w", key, err)
		}
		return nil
	})
}

// checkObject checks what holds for every version, and takes note of its extents.
func (c *checker) checkObject(id mediastore.ContainerID, path mediastore.Path, value []byte) (objectRecord, error) {
	record, err := withBody(value)
	if err != nil {
		return record, c.report("object %s/%s: %w", id, path, err)
	}
	record.object.Path = path
	for _, x := range record.extents {
		c.spans[x.volume] = append(c.spans[x.volume], span{x.offset, x.offset + footprint(x.length), x.offset + x.length + blocks(x.length)*sumSize})
	}
	if !c.bodies || record.object.Archived {
		return record, nil
	}
	if err := c.readBody(record); err != nil {
		return record, c.report("object %s/%s: %w", id, path, err)
	}
	return record, nil
}

func (c *checker) readBody(record objectRecord) error {
	r, err := newReader(c.engine, record)
	if err != nil {
		return err
	}
	defer r.Close()
	buffer := make([]byte, BlockSize)
	for off := int64(0); off < record.object.Size; off += BlockSize {
		if _, err := r.ReadAt(buffer, off); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

func (c *checker) checkVolumes() error {
	records, err := loadVolumes(c.r)
	if err != nil {
		return err
	}
	for id := range c.spans {
		if _, ok := records[id]; !ok {
			records[id] = volumeRecord{}
		}
	}
	for id, record := range records {
		if err := c.checkVolume(id, record); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkVolume(id volumeID, record volumeRecord) error {
	info, err := c.engine.options.FS.Stat(c.engine.volumes.path(id))
	if err != nil {
		return c.report("volume %s: %w", id.fileName(), err)
	}
	spans := c.spans[id]
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var end, live int64
	for _, s := range spans {
		if s.from < end || s.used > info.Size() || s.from%alignment != 0 {
			err = errors.Join(err, c.report("volume %s of %d bytes: the extent at %d to %d overlaps or lies outside", id.fileName(), info.Size(), s.from, s.used))
		}
		end, live = s.to, live+s.to-s.from
	}
	if live != record.live {
		err = errors.Join(err, c.report("volume %s: has %d live bytes and counts %d", id.fileName(), live, record.live))
	}
	return err
}
