package logstore

import (
	"cmp"
	"fmt"
	"slices"
)

// volumeUse is what a check finds in one volume.
type volumeUse struct {
	size  int64 // of the file, -1 when it is missing
	class class
	spans []span
}

// span is what one extent occupies in its volume.
type span struct{ from, to int64 }

// volume returns what is known of a volume, and looks at its file the first time.
func (c *checker) volume(id volumeID) *volumeUse {
	u := c.volumes[id]
	if u == nil {
		u = &volumeUse{size: -1}
		if info, err := c.engine.options.FS.Stat(c.engine.volumes.path(id)); err == nil {
			u.size = info.Size()
		}
		c.volumes[id] = u
	}
	return u
}

// occupy takes note of the extents of a version. It fails when one of them cannot
// be where it is said to be.
func (c *checker) occupy(record *objectRecord) (err error) {
	for _, x := range record.extents {
		u := c.volume(x.volume)
		u.class = shelfOf(record.object.ExpiresAt).class
		u.spans = append(u.spans, span{x.offset, x.offset + footprint(x.length)})
		switch end := x.offset + x.length + blocks(x.length)*sumSize; {
		case u.size < 0:
			err = fmt.Errorf("volume %s: is missing", x.volume.fileName())
		case end > u.size:
			err = fmt.Errorf("volume %s: ends at %d, and the extent at %d at %d", x.volume.fileName(), u.size, x.offset, end)
		case x.offset%alignment != 0:
			err = fmt.Errorf("volume %s: no extent can begin at %d", x.volume.fileName(), x.offset)
		}
	}
	return err
}

// isSuspect reports whether a version lies where another one is said to lie too.
func (c *checker) isSuspect(record *objectRecord) bool {
	return slices.ContainsFunc(record.extents, func(x extent) bool {
		return slices.ContainsFunc(c.suspects[x.volume], func(s span) bool {
			return x.offset < s.to && s.from < x.offset+footprint(x.length)
		})
	})
}

func (c *checker) checkVolumes() error {
	records := make(map[volumeID]volumeRecord)
	err := c.table(tableVolumes, func(key, value []byte) {
		id, err := parseVolumeKey(key)
		if err != nil {
			c.wrong(fix(key, nil), "%v", err)
			return
		}
		record, err := decodeVolume(value)
		if err != nil {
			record.live = -1
		}
		records[id] = record
		c.volume(id)
	})
	for id, u := range c.volumes {
		c.checkOverlaps(id, u)
		c.checkLive(id, u, records[id])
	}
	return err
}

func (c *checker) checkOverlaps(id volumeID, u *volumeUse) {
	slices.SortFunc(u.spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var before span
	for _, s := range u.spans {
		if s.from < before.to {
			shared := span{s.from, min(s.to, before.to)}
			c.overlaps[id] = append(c.overlaps[id], shared)
			c.wrong(nil, "volume %s: the bytes from %d to %d are those of two objects", id.fileName(), shared.from, shared.to)
		}
		if s.to > before.to {
			before = s
		}
	}
}

// checkLive: the record of a volume has the sum of what is alive in it, and there
// is none when nothing is.
func (c *checker) checkLive(id volumeID, u *volumeUse, record volumeRecord) {
	var live int64
	for _, s := range u.spans {
		live += s.to - s.from
	}
	if record.live == live && (u.size >= 0 || live == 0) {
		return
	}
	if record.live == live && c.running {
		if _, found, err := lookup(c.engine.index, volumeKey(id), decodeVolume); err == nil && !found {
			return // removed since
		}
	}
	if record.live == live {
		c.wrong(nil, "volume %s: is missing", id.fileName()) // its objects are lost, each by itself
		return
	}
	var value []byte
	if live > 0 {
		value = volumeRecord{class: u.class, live: live}.encode()
	}
	c.wrong(fix(volumeKey(id), value), "volume %s: has %d live bytes and counts %d", id.fileName(), live, record.live)
}
