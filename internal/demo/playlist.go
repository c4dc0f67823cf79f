package demo

import (
	"bytes"
	"fmt"
	"time"
)

// Sequence is the media sequence number of a segment of the running channel: how
// many segments fit between the Unix epoch and its beginning. Since it follows
// from the time of day alone, a publisher that is started again goes on where
// the last one would be, and a name is never used for two segments.
type Sequence int64

// Newest returns the last segment that is complete at now.
func (c *Channel) Newest(now time.Time) Sequence {
	return Sequence(now.UnixNano()/int64(c.Segment)) - 1
}

// Complete returns when segment s is complete and can be published.
func (c *Channel) Complete(s Sequence) time.Time {
	return time.Unix(0, (int64(s)+1)*int64(c.Segment))
}

// loop returns how many segments the channel has before it begins again.
func (c *Channel) loop() Sequence { return Sequence(len(c.Tracks[0].Segments)) }

// discontinuity reports whether s begins the loop again, so that its timestamps
// do not follow those of the segment before it. Nothing comes before segment 0.
func (c *Channel) discontinuity(s Sequence) bool { return s > 0 && s%c.loop() == 0 }

// discontinuitiesBefore counts the segments before s that begin the loop again.
func (c *Channel) discontinuitiesBefore(s Sequence) int64 {
	return int64(max(s-1, 0) / c.loop())
}

// start returns when segment s of track t is on air. Within a loop it moves by
// the track's real durations, so that tracks cut differently stay together.
func (c *Channel) start(t *Track, s Sequence) time.Time {
	at := s % c.loop()
	begin := time.Unix(0, int64(s-at)*int64(c.Segment)).UTC()
	for _, seg := range t.Segments[:at] {
		begin = begin.Add(seg.Duration)
	}
	return begin
}

// MediaPlaylist renders the playlist of track t with the segments first to last
// (RFC 8216, section 4.3.3). EXT-X-DISCONTINUITY-SEQUENCE counts the
// EXT-X-DISCONTINUITY tags that are no longer in it (section 6.2.2).
func (c *Channel) MediaPlaylist(t *Track, first, last Sequence) []byte {
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n")
	fmt.Fprintf(&b, "#EXT-X-TARGETDURATION:%d\n", int(c.Segment.Seconds()))
	fmt.Fprintf(&b, "#EXT-X-MEDIA-SEQUENCE:%d\n", first)
	fmt.Fprintf(&b, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", c.discontinuitiesBefore(first))
	b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s\"\n", t.initName())
	for s := first; s <= last; s++ {
		c.writeSegment(&b, t, s)
	}
	return b.Bytes()
}

func (c *Channel) writeSegment(b *bytes.Buffer, t *Track, s Sequence) {
	if c.discontinuity(s) {
		b.WriteString("#EXT-X-DISCONTINUITY\n")
	}
	fmt.Fprintf(b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", c.start(t, s).Round(time.Millisecond).Format("2006-01-02T15:04:05.000Z"))
	fmt.Fprintf(b, "#EXTINF:%.6f,\n%s\n", c.segment(t, s).Duration.Seconds(), t.segmentName(s))
}

// segment returns what is sent as segment s of track t.
func (c *Channel) segment(t *Track, s Sequence) Segment { return t.Segments[s%c.loop()] }

// Names are relative to the channel's folder.

func (t *Track) playlistName() string          { return t.Name + ".m3u8" }
func (t *Track) initName() string              { return t.Name + "/init.mp4" }
func (t *Track) segmentName(s Sequence) string { return fmt.Sprintf("%s/%d.m4s", t.Name, s) }
