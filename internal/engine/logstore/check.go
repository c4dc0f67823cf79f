package logstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// Problem is one thing in a store that contradicts the rest of it.
type Problem struct {
	// What is a sentence that begins with where it is.
	What string
	// Lost says that the version of the object at Container and Path cannot be
	// read, in whole or in part. A repair removes it, and nothing else that
	// somebody has stored.
	Lost      bool
	Container mediastore.ContainerID
	Path      mediastore.Path
	// Repairable says that a repair brings this in order.
	Repairable bool
}

// Progress is how far a check has come.
type Progress struct {
	Objects int64 // that were looked at
	Bytes   int64 // of bodies that were read
}

// Check holds the index against itself and against the volumes: folders that do
// not have as many items as they count, containers that are known by one key
// only, transient versions without their expiry, events that cannot be read,
// extents that overlap or lie outside their volume, live bytes that do not add
// up. When bodies is true it also reads every body and holds it against its
// checksums, and its SHA-256 when that is known. Each problem is reported.
//
// The store may be in use; the check is of the moment when it began. It fails
// with the error of ctx, and when the index cannot be read.
func (e *Engine) Check(ctx context.Context, bodies bool, report func(Problem)) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.exit()
	snapshot := e.index.NewSnapshot()
	defer snapshot.Close()
	c := newChecker(ctx, e, snapshot)
	c.bodies, c.running, c.report = bodies, true, report
	return c.run()
}

// checker goes through a store once. With each problem it finds out what would
// bring it in order.
type checker struct {
	ctx      context.Context
	engine   *Engine
	r        pebble.Reader
	bodies   bool
	running  bool      // the engine is in use: what is found may be past already
	at       time.Time // of repairs
	report   func(Problem)
	progress func(Progress)
	done     Progress
	fixes    []entry

	containers containerTables
	level      level
	volumes    map[volumeID]*volumeUse
	// suspects are runs of volumes that were found to be in more than one
	// object: the bodies there are read, to see whose they are.
	suspects map[volumeID][]span
	overlaps map[volumeID][]span // found by this check
	position uint64              // of the last event
}

// level is the folder whose items are being walked.
type level struct {
	id     mediastore.ContainerID
	folder mediastore.Folder
	items  int64
}

func newChecker(ctx context.Context, e *Engine, r pebble.Reader) *checker {
	return &checker{
		ctx: ctx, engine: e, r: r, report: func(Problem) {}, progress: func(Progress) {},
		volumes: make(map[volumeID]*volumeUse), overlaps: make(map[volumeID][]span),
	}
}

func (c *checker) run() error {
	for _, step := range []func() error{
		c.loadContainers, c.checkContainers, c.checkIDs, c.checkEvents, c.checkRoots, c.checkItems,
		c.checkTransient, c.checkExpiries, c.checkLeftovers, c.checkVolumes,
	} {
		if err := step(); err != nil {
			return ioError("logstore.check", err)
		}
	}
	c.progress(c.done)
	return nil
}

// found reports a problem that the entries bring in order.
func (c *checker) found(p Problem, fixes ...entry) {
	p.Repairable = len(fixes) > 0
	c.fixes = append(c.fixes, fixes...)
	c.report(p)
}

// wrong reports a problem that is no object's.
func (c *checker) wrong(fix []entry, format string, args ...any) {
	c.found(Problem{What: fmt.Sprintf(format, args...)}, fix...)
}

func fix(key, value []byte) []entry { return []entry{{bytes.Clone(key), value}} }

// table walks one table of the index.
func (c *checker) table(table byte, visit func(key, value []byte)) error {
	prefix := []byte{table}
	return scan(c.r, prefix, prefix, func(key []byte, it *pebble.Iterator) (bool, error) {
		value, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		visit(key, value)
		return true, c.ctx.Err()
	})
}

func (c *checker) has(key []byte) bool {
	_, found, err := lookup(c.r, key, func([]byte) (struct{}, error) { return struct{}{}, nil })
	return err == nil && found
}

func (c *checker) checkRoots() error {
	return c.table(tableRoots, func(key, _ []byte) {
		if len(key) != 1+mediastore.ContainerIDLength {
			c.wrong(fix(key, nil), "%q: is not a root's key", key)
			return
		}
		c.checkNotEmpty(mediastore.ContainerID(key[1:]), "")
	})
}

// checkNotEmpty: a folder that is counted must have items.
func (c *checker) checkNotEmpty(id mediastore.ContainerID, folder mediastore.Folder) {
	if empty, err := isEmpty(c.r, levelPrefix(id, folder)); err == nil && empty {
		c.wrong(fix(countKey(id, folder), nil), "folder %q of %s: has an entry and no items", folder, id)
	}
}

func (c *checker) checkItems() error {
	err := c.table(tableItems, func(key, value []byte) {
		it, err := parseItemKey(key)
		if err != nil {
			c.wrong(fix(key, nil), "%v", err)
			return
		}
		c.enterLevel(it)
		c.level.items++
		if it.isDir {
			c.checkNotEmpty(it.id, mediastore.Folder(it.folder.Join(it.name)))
		} else {
			c.checkItem(it, key, value)
		}
	})
	c.leaveLevel()
	return err
}

// enterLevel notices when the walk comes to the next folder: the items of one
// are together.
func (c *checker) enterLevel(it item) {
	if c.level.items > 0 && it.id == c.level.id && it.folder == c.level.folder {
		return
	}
	c.leaveLevel()
	c.level = level{id: it.id, folder: it.folder}
	c.checkHolder(it.id, it.folder.Join(it.name))
}

// checkHolder: what holds a version is an ACTIVE container. Where none is known
// nothing is done about it: the bytes are not damaged.
func (c *checker) checkHolder(id mediastore.ContainerID, path mediastore.Path) {
	if o, err := lookupOwner(c.r, id); err != nil || o.status != mediastore.StatusActive {
		c.wrong(nil, "%q: its container %s has the status %q (%v)", path, id, o.status, err)
	}
}

func (c *checker) leaveLevel() {
	l := c.level
	if l.items == 0 {
		return
	}
	key := countKey(l.id, l.folder)
	n, _, err := lookup(c.r, key, decodeCount)
	if err != nil || n != l.items {
		c.wrong(fix(key, encodeCount(l.items)), "folder %q of %s: has %d items and counts %d (%v)", l.folder, l.id, l.items, n, err)
	}
}

func (c *checker) checkItem(it item, key, value []byte) {
	path := it.folder.Join(it.name)
	v, ok := c.checkObject(it.id, key, path, value)
	switch {
	case !ok:
	case !bytes.Equal(objectKey(it.id, path), key):
		c.lost(v, key, "cannot be found by its path")
	case v.record.transient():
		c.refile(v, key, value)
	}
}

// checkTransient: a transient version is no item, and has its place among what
// expires.
func (c *checker) checkTransient() error {
	return c.table(tableTransient, func(key, value []byte) {
		id, path, err := parseTransientKey(key)
		if err != nil {
			c.wrong(fix(key, nil), "%v", err)
			return
		}
		c.checkHolder(id, path)
		v, ok := c.checkObject(id, key, path, value)
		if !ok {
			return
		}
		if !v.record.transient() {
			c.refile(v, key, value)
			return
		}
		c.checkExpires(v, key)
	})
}

func (c *checker) checkExpires(v located, key []byte) {
	o := &v.record.object
	if expiry := expiryKey(o.ExpiresAt, v.id, o.Path); !c.has(expiry) {
		c.wrong(fix(expiry, []byte{}), "object %s/%s: expires at %v and is not noted there", v.id, o.Path, o.ExpiresAt)
	}
	if c.has(objectKey(v.id, o.Path)) {
		c.lost(v, key, "there are two of that path, and the one that does not expire stays")
	}
}

// refile moves a record to the table where it belongs, when there is none.
func (c *checker) refile(v located, key, value []byte) {
	path := v.record.object.Path
	proper := v.record.key(v.id)
	if c.has(proper) {
		c.lost(v, key, "there are two of that path, and this one is not where it belongs")
		return
	}
	fixes := append(fix(key, nil), entry{proper, bytes.Clone(value)})
	if v.record.transient() {
		fixes = append(fixes, entry{expiryKey(v.record.object.ExpiresAt, v.id, path), []byte{}})
	}
	c.wrong(fixes, "object %s/%s: is not where versions are that expire, or do not, as it does", v.id, path)
}

// checkExpiries is the reverse: what is to expire is a version that does then.
func (c *checker) checkExpiries() error {
	return c.table(tableExpiry, func(key, _ []byte) {
		due, err := lookupDue(c.r, key)
		if err == nil && bytes.Equal(expiryKey(due.Object.ExpiresAt, due.Container, due.Object.Path), key) {
			return
		}
		c.wrong(fix(key, nil), "expiry %q: no version expires then (%v)", key, err)
	})
}

// checkEvents finds events that cannot be read. A repair forgets them, except the
// newest, whose position must not be given again: it becomes a copy of the one
// before it.
func (c *checker) checkEvents() error {
	var last, damaged []byte // the last event that can be read, and the key of one that cannot
	err := c.table(tableEvents, func(key, value []byte) {
		position, err := parseEventKey(key)
		if err != nil {
			c.wrong(fix(key, nil), "%v", err)
			return
		}
		c.position = position
		c.damagedEvent(damaged, nil)
		damaged = nil
		if _, err := decodeEvent(value); err != nil {
			damaged = bytes.Clone(key)
			return
		}
		last = bytes.Clone(value)
	})
	c.damagedEvent(damaged, last)
	return err
}

func (c *checker) damagedEvent(key, value []byte) {
	if key != nil {
		c.wrong(fix(key, value), "event %x: %v", key[1:], errRecord)
	}
}

func (c *checker) checkLeftovers() error {
	return c.table(tableLeftovers, func(key, value []byte) {
		if _, err := decodeTime(value); err != nil {
			c.wrong(fix(key, encodeTime(c.at)), "leftover %q: %v", key, err)
		}
	})
}

// checkObject checks what holds for every version, and takes note of its extents.
// It returns false when the version is lost.
func (c *checker) checkObject(id mediastore.ContainerID, key []byte, path mediastore.Path, value []byte) (located, bool) {
	c.done.Objects++
	c.progress(c.done)
	record, err := withBody(value)
	record.object.Path = path
	v := located{id, record}
	if err != nil {
		c.lost(v, key, err.Error())
		return v, false
	}
	err = c.occupy(&record)
	if err == nil && !record.object.Archived && (c.bodies || c.isSuspect(&record)) {
		err = c.readBody(record)
	}
	if err == nil || c.ctx.Err() != nil || c.running && c.engine.hasChanged(&v) {
		return v, true
	}
	c.lost(v, key, err.Error())
	return v, false
}

// lost reports a version that cannot be read. That it goes is a change as any
// other: there is an event.
func (c *checker) lost(v located, key []byte, why string) {
	o := &v.record.object
	fixes := fix(key, nil)
	if holder, err := lookupOwner(c.r, v.id); err == nil {
		c.position++
		removed := event.Event{
			Kind: event.ObjectRemoved, Time: c.at, Account: holder.account, Container: holder.name, ContainerID: v.id,
			Path: o.Path, ETag: o.ETag, Size: o.Size,
		}
		fixes = append(fixes, entry{eventKey(c.position), encodeEvent(&removed)})
	}
	c.found(Problem{What: fmt.Sprintf("object %s/%s: %s", v.id, o.Path, why), Lost: true, Container: v.id, Path: o.Path}, fixes...)
}

// readBody holds a body against its checksums.
func (c *checker) readBody(record objectRecord) error {
	hash := sha256.New()
	err := c.engine.verifyBody(record, func(p []byte) error {
		c.done.Bytes += int64(len(p))
		c.progress(c.done)
		hash.Write(p)
		return c.ctx.Err()
	})
	known := record.object.SHA256 != [sha256.Size]byte{}
	if err == nil && known && !bytes.Equal(hash.Sum(nil), record.object.SHA256[:]) {
		err = errors.New("its SHA-256 is not that of its bytes")
	}
	return err
}

// verifyBody reads a version and gives its bytes, that were held against their
// checksums, to each, block by block.
func (e *Engine) verifyBody(record objectRecord, each func([]byte) error) error {
	r, err := newReader(e, record)
	if err != nil {
		return err
	}
	defer r.release()
	buffer := e.scratch.Get().(*[BlockSize]byte)
	defer e.scratch.Put(buffer)
	for off := int64(0); off < record.object.Size; off += BlockSize {
		block := buffer[:min(BlockSize, record.object.Size-off)]
		if err := r.read(block, off); err != nil {
			return err
		}
		if err := each(block); err != nil {
			return err
		}
	}
	return nil
}

// hasChanged reports whether a version that was found a while ago is gone, or has
// its bytes elsewhere.
func (e *Engine) hasChanged(v *located) bool {
	record, found, err := lookupVersion(e.index, v.id, v.record.object.Path, withoutBody)
	return err == nil && (!found || record.object.ETag != v.record.object.ETag || !slices.Equal(record.extents, v.record.extents))
}
