package loadtest

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	manifestName = "index.m3u8"
	manifestType = "application/vnd.apple.mpegurl"
	segmentType  = "video/mp4"
	maxManifest  = 1 << 20 // bytes of one that are read
)

// manifest is a media playlist (RFC 8216, section 4.3.3) of the segments from
// first to last, none when last is first-1. A hint at the segment that is being
// uploaded follows when there is one.
type manifest struct {
	first, last int64
	hint        bool // at last+1
}

// newest is the last segment that can be read.
func (m manifest) newest() int64 {
	if m.hint {
		return m.last + 1
	}
	return m.last
}

func segmentName(number int64) string { return fmt.Sprintf("%010d.m4s", number) }

func (m manifest) render(segment time.Duration) []byte {
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n")
	fmt.Fprintf(&b, "#EXT-X-TARGETDURATION:%d\n", int(math.Ceil(segment.Seconds())))
	fmt.Fprintf(&b, "%s%d\n", sequenceTag, m.first)
	for n := m.first; n <= m.last; n++ {
		fmt.Fprintf(&b, "#EXTINF:%.3f,\n%s\n", segment.Seconds(), segmentName(n))
	}
	if m.hint {
		fmt.Fprintf(&b, "%sTYPE=PART,URI=\"%s\"\n", hintTag, segmentName(m.last+1))
	}
	b.WriteString(endComment)
	return b.Bytes()
}

const (
	sequenceTag = "#EXT-X-MEDIA-SEQUENCE:"
	hintTag     = "#EXT-X-PRELOAD-HINT:"
	endComment  = "# end\n" // without it, one cut after a line could be another whole one
)

// readManifest reads a manifest that render wrote, and takes no other: one cut
// short or mixed of two is an error.
func readManifest(text []byte, segment time.Duration, window int) (manifest, error) {
	_, rest, found := strings.Cut(string(text), sequenceTag)
	digits, _, _ := strings.Cut(rest, "\n")
	first, err := strconv.ParseInt(digits, 10, 64)
	listed := strings.Count(rest, "#EXTINF:")
	if !found || err != nil || first < 0 || first > math.MaxInt32 || listed > window {
		return manifest{}, errManifest
	}
	m := manifest{first, first + int64(listed) - 1, strings.Contains(rest, hintTag)}
	if !bytes.Equal(m.render(segment), text) {
		return manifest{}, errManifest
	}
	return m, nil
}
