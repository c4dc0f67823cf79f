package logstore

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

func sampleObjects() []objectRecord {
	full := mediastore.Object{
		ETag: "0123456789abcdef", SHA256: [32]byte{1, 2, 31: 3}, ContentType: "video/mp4; codecs=avc1",
		CacheControl: "max-age=1", LastModified: testEpoch,
	}
	inline, spread, old := full, full, full
	inline.Size, spread.Size, old.Size = 4, 1<<40+7, 1
	old.LastModified = time.Time{}
	transient, cold, archived := inline, inline, spread
	transient.ExpiresAt = testEpoch.Add(20 * time.Second)
	cold.InfrequentAccess = true
	archived.InfrequentAccess, archived.Archived = true, true
	return []objectRecord{
		{},
		{object: inline, inline: []byte("body")},
		{object: old, inline: []byte{0}},
		{object: transient, inline: []byte("body")},
		{object: cold, inline: []byte("body")},
		{object: archived},
		{object: spread, extents: []extent{{0, 0, 1 << 40, 7}, {1<<32 - 1, 1 << 50, 7, 1<<32 - 1}}},
	}
}

func TestObjectRecord(t *testing.T) {
	for _, want := range sampleObjects() {
		got, err := decodeObject(want.encode())
		if err != nil {
			t.Fatalf("decodeObject(%+v): %v", want, err)
		}
		if !sameObject(got, want) {
			t.Errorf("decodeObject: got %+v, want %+v", got, want)
		}
	}
}

func sameObject(a, b objectRecord) bool {
	return cmp.Equal(a.object, b.object) && bytes.Equal(a.inline, b.inline) && cmp.Equal(a.extents, b.extents, cmp.AllowUnexported(extent{}))
}

// TestTruncatedRecords cuts a record at every byte: that must be noticed.
func TestTruncatedRecords(t *testing.T) {
	c := testContainer()
	c.Tags = []mediastore.Tag{{Key: "a"}}
	samples := sampleObjects()
	object, container := samples[len(samples)-1].encode(), encodeContainer(&c)
	ev := sampleEvent()
	encoded := encodeEvent(&ev)
	for n := range encoded {
		if _, err := decodeEvent(encoded[:n]); err == nil {
			t.Errorf("an event of %d bytes was taken with %d", len(encoded), n)
		}
	}
	for n := range object {
		if _, err := decodeObject(object[:n]); err == nil {
			t.Errorf("an object record of %d bytes was taken with %d", len(object), n)
		}
	}
	for n := range container {
		if _, err := decodeContainer(container[:n]); err == nil {
			t.Errorf("a container record of %d bytes was taken with %d", len(container), n)
		}
	}
}

func TestContainerRecord(t *testing.T) {
	c := testContainer()
	c.AccessLogging, c.Policy, c.Cors = true, strings.Repeat("p", 8192), "[]"
	c.Lifecycle, c.Metric = "{}", "ü"
	c.Tags = []mediastore.Tag{{Key: "k", Value: ""}, {Key: "l", Value: "v"}}
	for _, want := range []mediastore.Container{{}, testContainer(), c} {
		got, err := decodeContainer(encodeContainer(&want))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("decodeContainer: %v (-want +got):\n%s", err, diff)
		}
	}
}

func TestSmallRecords(t *testing.T) {
	o := owner{mediastore.StatusActive, testAccount, "movies"}
	if got, err := decodeOwner(o.encode()); err != nil || got != o {
		t.Errorf("decodeOwner = %+v, %v", got, err)
	}
	v := volumeRecord{classShort, 1 << 40}
	if got, err := decodeVolume(v.encode()); err != nil || got != v {
		t.Errorf("decodeVolume = %+v, %v", got, err)
	}
	if got, err := decodeCount(encodeCount(300)); err != nil || got != 300 {
		t.Errorf("decodeCount = %d, %v", got, err)
	}
}

func sampleEvent() event.Event {
	return event.Event{
		Kind: event.ObjectRemoved, Time: testEpoch, Account: testAccount, Container: "movies", ContainerID: testID,
		Path: "live/a.ts", ETag: "0123456789abcdef", Size: 1 << 40,
	}
}

func TestEventRecord(t *testing.T) {
	container := event.Event{Kind: event.ContainerCreated, Time: testEpoch, Account: testAccount, Container: "movies", ContainerID: testID}
	for _, want := range []event.Event{sampleEvent(), container} {
		got, err := decodeEvent(encodeEvent(&want))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("decodeEvent: %v (-want +got):\n%s", err, diff)
		}
	}
	for _, kind := range []event.Kind{0, 5} {
		if _, err := decodeEvent(encodeEvent(&event.Event{Kind: kind})); err == nil {
			t.Errorf("an event of the kind %d was taken", kind)
		}
	}
}

// encodeObject1 encodes as version 1 of the format did.
func encodeObject1(r *objectRecord) []byte {
	o := &r.object
	b := appendString([]byte{1}, string(o.ETag))
	b = append(b, o.SHA256[:]...)
	b = binary.AppendUvarint(b, uint64(o.Size))
	b = appendTime(appendString(appendString(b, o.ContentType), o.CacheControl), o.LastModified)
	b = binary.AppendUvarint(b, uint64(len(r.extents)))
	for _, x := range r.extents {
		for _, n := range []uint64{uint64(x.volume), uint64(x.offset), uint64(x.length)} {
			b = binary.AppendUvarint(b, n)
		}
		b = binary.LittleEndian.AppendUint32(b, x.sum)
	}
	return append(b, r.inline...)
}

func TestObjectRecordVersion1(t *testing.T) {
	for _, want := range sampleObjects() {
		if want.transient() || want.object.InfrequentAccess {
			continue
		}
		if got, err := decodeObject(encodeObject1(&want)); err != nil || !sameObject(got, want) {
			t.Errorf("decodeObject: got %+v, %v, want %+v", got, err, want)
		}
	}
}

// TestMoments: keys are in the order of time, to the nanosecond.
func TestMoments(t *testing.T) {
	moments := []time.Time{
		time.Unix(-1<<40, 5), time.Unix(-1, 0), time.Unix(-1, 999_999_999), time.Unix(0, 0), time.Unix(0, 1),
		testEpoch, testEpoch.Add(1), testEpoch.Add(time.Second), time.Unix(1<<40, 0),
	}
	for i := range moments[1:] {
		if a, b := expiryKey(moments[i], testID, "z"), expiryKey(moments[i+1], testID, "a"); bytes.Compare(a, b) >= 0 {
			t.Errorf("the key of %v is not below that of %v", moments[i], moments[i+1])
		}
	}
	id, path, err := parseExpiryKey(expiryKey(testEpoch, testID, "a/b"))
	if id != testID || path != "a/b" || err != nil {
		t.Errorf("parseExpiryKey = %s, %s, %v", id, path, err)
	}
}

// FuzzDecodeObject: bytes that are not a record are refused, and what is taken
// survives a round trip.
func FuzzDecodeObject(f *testing.F) {
	for _, r := range sampleObjects() {
		f.Add(r.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeObject(b)
		if err != nil {
			return
		}
		again, err := decodeObject(r.encode())
		if err != nil || !sameObject(r, again) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzDecodeOthers(f *testing.F) {
	c := testContainer()
	c.Tags = []mediastore.Tag{{Key: "k", Value: "v"}}
	f.Add(encodeContainer(&c))
	f.Add(ownerOf(&c).encode())
	f.Add(volumeRecord{classShort, 5}.encode())
	f.Add(encodeCount(1))
	f.Add(objectKey(testID, "a/b/c"))
	f.Add(transientKey(testID, "a/b/c"))
	f.Add(expiryKey(testEpoch, testID, "a/b/c"))
	f.Add(eventKey(1 << 40))
	f.Add(encodeTime(testEpoch))
	ev := sampleEvent()
	f.Add(encodeEvent(&ev))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeContainer(b); err == nil {
			if again, err := decodeContainer(encodeContainer(&c)); err != nil || !cmp.Equal(c, again) {
				t.Errorf("%+v became %+v, %v", c, again, err)
			}
		}
		if o, err := decodeOwner(b); err == nil {
			if again, err := decodeOwner(o.encode()); err != nil || o != again {
				t.Errorf("%+v became %+v, %v", o, again, err)
			}
		}
		if ev, err := decodeEvent(b); err == nil {
			if again, err := decodeEvent(encodeEvent(&ev)); err != nil || !cmp.Equal(ev, again) {
				t.Errorf("%+v became %+v, %v", ev, again, err)
			}
		}
		if at, err := decodeTime(b); err == nil {
			if again, err := decodeTime(encodeTime(at)); err != nil || !at.Equal(again) {
				t.Errorf("%v became %v, %v", at, again, err)
			}
		}
		if id, path, err := parseTransientKey(b); err == nil && !bytes.Equal(transientKey(id, path), b) {
			t.Errorf("the key %q became %q", b, transientKey(id, path))
		}
		if position, err := parseEventKey(b); err == nil && !bytes.Equal(eventKey(position), b) {
			t.Errorf("the key %q became %q", b, eventKey(position))
		}
		_, _, _ = parseExpiryKey(b)
		if v, err := decodeVolume(b); err == nil && v.class >= classes {
			t.Errorf("took the class %d", v.class)
		}
		if it, err := parseItemKey(b); err == nil && !it.isDir {
			if again := append(append(levelPrefix(it.id, it.folder), it.name...), kindObject); !bytes.Equal(again, b) {
				t.Errorf("the key %q became %q", b, again)
			}
		}
	})
}
