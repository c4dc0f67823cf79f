package loadtest

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestManifest(t *testing.T) {
	got := manifest{first: 7, last: 8, hint: true}.render(1920 * time.Millisecond)
	want := `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:7
#EXTINF:1.920,
0000000007.m4s
#EXTINF:1.920,
0000000008.m4s
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="0000000009.m4s"
# end
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestReadManifest(t *testing.T) {
	for _, m := range []manifest{{0, 0, false}, {0, -1, true}, {5, 4, true}, {5, 10, false}, {5, 10, true}} {
		text := m.render(2 * time.Second)
		got, err := readManifest(text, 2*time.Second, 6)
		if got != m || err != nil {
			t.Errorf("%+v was read as %+v, %v", m, got, err)
		}
		for n := range text {
			if cut, err := readManifest(text[:n], 2*time.Second, 6); err == nil {
				t.Errorf("%+v, cut to %d bytes, was read as %+v", m, n, cut)
			}
		}
	}
	for _, bad := range []string{"", "#EXT-X-MEDIA-SEQUENCE:x\n", "#EXT-X-MEDIA-SEQUENCE:99999999999\n", "#EXT-X-MEDIA-SEQUENCE:-1\n",
		string(manifest{0, 6, false}.render(2 * time.Second)), // more than the window
		string(manifest{0, 3, false}.render(3 * time.Second)),
	} {
		if m, err := readManifest([]byte(bad), 2*time.Second, 6); err == nil {
			t.Errorf("%q was read as %+v", bad, m)
		}
	}
}

func FuzzReadManifest(f *testing.F) {
	f.Add(manifest{5, 10, true}.render(2 * time.Second))
	f.Add(manifest{0, 0, false}.render(2 * time.Second))
	f.Add([]byte("#EXT-X-MEDIA-SEQUENCE:9223372036854775807\n#EXTINF:#EXTINF:"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := readManifest(text, 2*time.Second, 6)
		if err == nil && !bytes.Equal(m.render(2*time.Second), text) {
			t.Errorf("%q was read as %+v", text, m)
		}
		if err == nil && m.last-m.first >= 6 {
			t.Errorf("%+v has too many segments", m)
		}
	})
}
