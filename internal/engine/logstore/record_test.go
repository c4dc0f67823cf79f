package logstore

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	return []objectRecord{
		{},
		{object: inline, inline: []byte("body")},
		{object: old, inline: []byte{0}},
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
	object, container := sampleObjects()[3].encode(), encodeContainer(&c)
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
