package logstore

import (
	"encoding/binary"
	"errors"
	"time"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// recordVersion is the first byte of every record that can grow fields, and
// objectVersion that of an object's, which has grown some. The older ones are
// read too.
const (
	recordVersion = 1
	objectVersion = 2
)

// The flags of an object's record.
const (
	flagTransient = 1 << iota // an expiry follows
	flagInfrequentAccess
	flagArchived
	flagsKnown = 1<<iota - 1
)

var errRecord = errors.New("record is damaged or of an unknown version")

// objectRecord is one version of an object as the index keeps it: what is known
// of it, and either its bytes or where they are. The path is in the key.
type objectRecord struct {
	object  mediastore.Object
	inline  []byte
	extents []extent // empty when the bytes are inline, or archived
}

func (r *objectRecord) transient() bool { return !r.object.ExpiresAt.IsZero() }

// key is where the record lies: among the items of its folder only when it lasts.
func (r *objectRecord) key(id mediastore.ContainerID) []byte {
	if r.transient() {
		return transientKey(id, r.object.Path)
	}
	return objectKey(id, r.object.Path)
}

func (r *objectRecord) encode() []byte {
	o := &r.object
	b := make([]byte, 0, 112+len(o.ETag)+len(o.ContentType)+len(o.CacheControl)+len(r.inline)+24*len(r.extents))
	b = append(b, objectVersion)
	b = appendString(b, string(o.ETag))
	b = append(b, o.SHA256[:]...)
	b = binary.AppendUvarint(b, uint64(o.Size))
	b = appendString(b, o.ContentType)
	b = appendString(b, o.CacheControl)
	b = appendTime(b, o.LastModified)
	b = appendLife(b, o)
	b = binary.AppendUvarint(b, uint64(len(r.extents)))
	for _, x := range r.extents {
		b = binary.AppendUvarint(b, uint64(x.volume))
		b = binary.AppendUvarint(b, uint64(x.offset))
		b = binary.AppendUvarint(b, uint64(x.length))
		b = binary.LittleEndian.AppendUint32(b, x.sum)
	}
	return append(b, r.inline...)
}

// appendLife appends what a lifecycle rule has made of the version.
func appendLife(b []byte, o *mediastore.Object) []byte {
	var flags byte
	if !o.ExpiresAt.IsZero() {
		flags |= flagTransient
	}
	if o.InfrequentAccess {
		flags |= flagInfrequentAccess
	}
	if o.Archived {
		flags |= flagArchived
	}
	b = append(b, flags)
	if flags&flagTransient != 0 {
		b = appendTime(b, o.ExpiresAt)
	}
	return b
}

// decodeObject is the reverse of encode. The inline bytes share memory with b.
func decodeObject(b []byte) (objectRecord, error) {
	d := decoder{rest: b}
	version := d.version(objectVersion)
	var r objectRecord
	r.object.ETag = mediastore.ETag(d.string())
	copy(r.object.SHA256[:], d.take(uint64(len(r.object.SHA256))))
	r.object.Size = d.size()
	r.object.ContentType = d.string()
	r.object.CacheControl = d.string()
	r.object.LastModified = d.time()
	if version >= 2 {
		d.life(&r.object)
	}
	r.extents = d.extents()
	r.inline = d.rest
	if d.bad || !r.complete() {
		return objectRecord{}, errRecord
	}
	return r, nil
}

// complete reports whether the record has as many bytes as it says, or none when
// they are elsewhere.
func (r *objectRecord) complete() bool {
	if r.object.Archived {
		return len(r.extents) == 0 && len(r.inline) == 0
	}
	return r.bodySize() == r.object.Size
}

// bodySize is the number of bytes that the record holds or points to, or -1 when
// it does both.
func (r *objectRecord) bodySize() int64 {
	if len(r.extents) == 0 {
		return int64(len(r.inline))
	}
	if len(r.inline) > 0 {
		return -1
	}
	var n int64
	for _, x := range r.extents {
		n += x.length
	}
	return n
}

func encodeContainer(c *mediastore.Container) []byte {
	b := []byte{recordVersion}
	for _, s := range []string{
		string(c.Account), c.Region, string(c.Name), string(c.ID), string(c.Status),
		c.Policy, c.Cors, c.Lifecycle, c.Metric,
	} {
		b = appendString(b, s)
	}
	b = appendTime(b, c.CreatedAt)
	logging := byte(0)
	if c.AccessLogging {
		logging = 1
	}
	b = append(b, logging)
	b = binary.AppendUvarint(b, uint64(len(c.Tags)))
	for _, tag := range c.Tags {
		b = appendString(appendString(b, tag.Key), tag.Value)
	}
	return b
}

func decodeContainer(b []byte) (mediastore.Container, error) {
	d := decoder{rest: b}
	d.version(recordVersion)
	c := mediastore.Container{
		Account:   mediastore.AccountID(d.string()),
		Region:    d.string(),
		Name:      mediastore.ContainerName(d.string()),
		ID:        mediastore.ContainerID(d.string()),
		Status:    mediastore.Status(d.string()),
		Policy:    d.string(),
		Cors:      d.string(),
		Lifecycle: d.string(),
		Metric:    d.string(),
		CreatedAt: d.time(),
	}
	c.AccessLogging = d.flag()
	c.Tags = d.tags()
	if d.bad || len(d.rest) > 0 {
		return mediastore.Container{}, errRecord
	}
	return c, nil
}

// owner is what the ID of a container leads to. It repeats the status so that a
// commit looks at one key only.
type owner struct {
	status  mediastore.Status
	account mediastore.AccountID
	name    mediastore.ContainerName
}

func ownerOf(c *mediastore.Container) owner { return owner{c.Status, c.Account, c.Name} }

func (o owner) encode() []byte {
	b := appendString([]byte{recordVersion}, string(o.status))
	return append(appendString(b, string(o.account)), o.name...)
}

func decodeOwner(b []byte) (owner, error) {
	d := decoder{rest: b}
	d.version(recordVersion)
	o := owner{status: mediastore.Status(d.string()), account: mediastore.AccountID(d.string())}
	o.name = mediastore.ContainerName(d.rest)
	if d.bad {
		return owner{}, errRecord
	}
	return o, nil
}

// volumeRecord is kept for every volume that holds a byte of a current version.
type volumeRecord struct {
	class class
	live  int64 // bytes that current versions occupy, footprints added up
}

func (r volumeRecord) encode() []byte {
	return binary.AppendUvarint([]byte{recordVersion, byte(r.class)}, uint64(r.live))
}

func decodeVolume(b []byte) (volumeRecord, error) {
	d := decoder{rest: b}
	d.version(recordVersion)
	r := volumeRecord{class: class(d.byte()), live: d.size()}
	if d.bad || len(d.rest) > 0 || r.class >= classes {
		return volumeRecord{}, errRecord
	}
	return r, nil
}

// encodeCount and decodeCount are for the number of items in a folder.
// encodeEvent encodes an event without its position, which is in the key.
func encodeEvent(ev *event.Event) []byte {
	b := make([]byte, 0, 64+len(ev.Container)+len(ev.ContainerID)+len(ev.Path)+len(ev.ETag))
	b = append(b, recordVersion, byte(ev.Kind))
	b = appendTime(b, ev.Time)
	for _, s := range []string{
		string(ev.Account), string(ev.Container), string(ev.ContainerID), string(ev.Path), string(ev.ETag),
	} {
		b = appendString(b, s)
	}
	return binary.AppendUvarint(b, uint64(ev.Size))
}

func decodeEvent(b []byte) (event.Event, error) {
	d := decoder{rest: b}
	d.version(recordVersion)
	ev := event.Event{
		Kind:        event.Kind(d.byte()),
		Time:        d.time(),
		Account:     mediastore.AccountID(d.string()),
		Container:   mediastore.ContainerName(d.string()),
		ContainerID: mediastore.ContainerID(d.string()),
		Path:        mediastore.Path(d.string()),
		ETag:        mediastore.ETag(d.string()),
		Size:        d.size(),
	}
	if d.bad || len(d.rest) > 0 || ev.Kind < event.ObjectUpdated || ev.Kind > event.ContainerRemoved {
		return event.Event{}, errRecord
	}
	return ev, nil
}

func encodeTime(t time.Time) []byte { return appendTime(nil, t) }

func decodeTime(b []byte) (time.Time, error) {
	d := decoder{rest: b}
	t := d.time()
	if d.bad || len(d.rest) > 0 {
		return time.Time{}, errRecord
	}
	return t, nil
}

func encodeCount(n int64) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func decodeCount(b []byte) (int64, error) {
	d := decoder{rest: b}
	n := d.size()
	if d.bad || len(d.rest) > 0 || n == 0 {
		return 0, errRecord
	}
	return n, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTime(b []byte, t time.Time) []byte {
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()))
}

// decoder takes a record apart. The first thing that is wrong makes it bad, and
// everything after that is zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() {
	d.bad, d.rest = true, nil
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

// version takes the version of a record, from 1 to the newest one.
func (d *decoder) version(newest byte) byte {
	v := d.byte()
	if v == 0 || v > newest {
		d.fail()
	}
	return v
}

func (d *decoder) life(o *mediastore.Object) {
	flags := d.byte()
	if flags > flagsKnown {
		d.fail()
	}
	o.InfrequentAccess = flags&flagInfrequentAccess != 0
	o.Archived = flags&flagArchived != 0
	if flags&flagTransient == 0 {
		return
	}
	if o.ExpiresAt = d.time(); o.ExpiresAt.IsZero() {
		d.fail()
	}
}

func (d *decoder) flag() bool {
	b := d.byte()
	if b > 1 {
		d.fail()
	}
	return b == 1
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// size is a number of bytes: not negative, and far enough from overflow that
// several can be added up.
func (d *decoder) size() int64 {
	v := d.uvarint()
	if v >= 1<<56 {
		d.fail()
		return 0
	}
	return int64(v)
}

func (d *decoder) string() string {
	return string(d.take(d.uvarint()))
}

func (d *decoder) time() time.Time {
	seconds, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return time.Time{}
	}
	d.rest = d.rest[n:]
	nanos := d.uvarint()
	if nanos >= 1e9 {
		d.fail()
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

func (d *decoder) extents() []extent {
	const smallest = 3 + 4
	n := d.uvarint()
	if n > uint64(len(d.rest)/smallest) {
		d.fail()
	}
	if d.bad || n == 0 {
		return nil
	}
	list := make([]extent, n)
	for i := range list {
		list[i] = d.extent()
	}
	return list
}

func (d *decoder) extent() extent {
	volume := d.uvarint()
	x := extent{volume: volumeID(volume), offset: d.size(), length: d.size()}
	if sum := d.take(4); sum != nil {
		x.sum = binary.LittleEndian.Uint32(sum)
	}
	if volume > 1<<32-1 || x.length == 0 {
		d.fail()
	}
	return x
}

func (d *decoder) tags() []mediastore.Tag {
	const smallest = 2
	n := d.uvarint()
	if n > uint64(len(d.rest)/smallest) {
		d.fail()
	}
	if d.bad || n == 0 {
		return nil
	}
	tags := make([]mediastore.Tag, n)
	for i := range tags {
		tags[i] = mediastore.Tag{Key: d.string(), Value: d.string()}
	}
	return tags
}
