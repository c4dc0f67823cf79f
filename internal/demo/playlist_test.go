package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shortChannel has three segments in its loop, so that a window spans several
// loops. The sound is cut a little beside the picture.
func shortChannel() *Channel {
	segments := func(name string, ms ...time.Duration) (all []Segment) {
		for i, d := range ms {
			all = append(all, Segment{Duration: d * time.Millisecond, Data: []byte{name[0], byte('0' + i)}})
		}
		return all
	}
	return &Channel{
		Multivariant: []byte("#EXTM3U\n"),
		Segment:      2 * time.Second,
		Tracks: []Track{
			{Name: "video", Init: []byte("vi"), Segments: segments("v", 2000, 2000, 2000)},
			{Name: "audio", Init: []byte("ai"), Segments: segments("a", 2005, 2005, 1990)},
		},
	}
}

func TestMediaPlaylist(t *testing.T) {
	c := shortChannel()
	got := string(c.MediaPlaylist(&c.Tracks[1], 5, 10))
	want := `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:5
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="audio/init.mp4"
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:10.010Z
#EXTINF:1.990000,
audio/5.m4s
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:12.000Z
#EXTINF:2.005000,
audio/6.m4s
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:14.005Z
#EXTINF:2.005000,
audio/7.m4s
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:16.010Z
#EXTINF:1.990000,
audio/8.m4s
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:18.000Z
#EXTINF:2.005000,
audio/9.m4s
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:20.005Z
#EXTINF:2.005000,
audio/10.m4s
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("playlist (-want +got):\n%s", diff)
	}
}

// As a window slides over several loops, a tag that leaves the playlist is
// counted in the discontinuity sequence at that very moment.
func TestDiscontinuitySequence(t *testing.T) {
	tests := []struct {
		first    Sequence
		sequence int64
		marked   []Sequence // the segments of the window that carry the tag
	}{
		{0, 0, []Sequence{3}},
		{1, 0, []Sequence{3}},
		{2, 0, []Sequence{3}},
		{3, 0, []Sequence{3, 6}},
		{4, 1, []Sequence{6}},
		{5, 1, []Sequence{6}},
		{6, 1, []Sequence{6, 9}},
		{7, 2, []Sequence{9}},
		{8, 2, []Sequence{9}},
		{9, 2, []Sequence{9, 12}},
		{10, 3, []Sequence{12}},
		{3_000_000, 999_999, []Sequence{3_000_000, 3_000_003}},
		{3_000_001, 1_000_000, []Sequence{3_000_003}},
	}
	c := shortChannel()
	for _, tt := range tests {
		if got := c.discontinuitiesBefore(tt.first); got != tt.sequence {
			t.Errorf("window from %d: discontinuity sequence %d, want %d", tt.first, got, tt.sequence)
		}
		var marked []Sequence
		for s := tt.first; s < tt.first+4; s++ {
			if c.discontinuity(s) {
				marked = append(marked, s)
			}
		}
		if diff := cmp.Diff(tt.marked, marked); diff != "" {
			t.Errorf("window from %d: discontinuities (-want +got):\n%s", tt.first, diff)
		}
	}
}

// What a player computes for a segment, the sequence plus the tags up to it, must
// be the same in every playlist that names it.
func TestDiscontinuityNumberOfASegmentNeverChanges(t *testing.T) {
	c := shortChannel()
	number := map[Sequence]int64{}
	for first := Sequence(0); first < 30; first++ {
		n := c.discontinuitiesBefore(first)
		for s := first; s < first+6; s++ {
			if c.discontinuity(s) {
				n++
			}
			if before, seen := number[s]; seen && before != n {
				t.Errorf("segment %d has number %d in the window from %d, and had %d", s, n, first, before)
			}
			number[s] = n
		}
	}
}

func TestSequenceFollowsTheClock(t *testing.T) {
	c := shortChannel()
	epoch := time.Unix(0, 0)
	tests := []struct {
		now    time.Duration
		newest Sequence
	}{
		{1999 * time.Millisecond, -1},
		{2 * time.Second, 0},
		{3999 * time.Millisecond, 0},
		{4 * time.Second, 1},
		{time.Hour, 1799},
	}
	for _, tt := range tests {
		if got := c.Newest(epoch.Add(tt.now)); got != tt.newest {
			t.Errorf("%v after the epoch: newest %d, want %d", tt.now, got, tt.newest)
		}
	}
	for s := range Sequence(20) {
		if got := c.Newest(c.Complete(s)); got != s {
			t.Errorf("when %d is complete the newest is %d", s, got)
		}
	}
}

func TestMultivariantNamesEveryTrack(t *testing.T) {
	c, err := Bundled()
	if err != nil {
		t.Fatal(err)
	}
	for _, track := range c.Tracks {
		if !strings.Contains(string(c.Multivariant), track.playlistName()) {
			t.Errorf("the multivariant playlist does not name %s", track.playlistName())
		}
	}
}
