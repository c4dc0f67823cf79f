package demo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func bundled(t *testing.T) *Channel {
	t.Helper()
	c, err := Bundled()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// box returns the content of the first box that lies at path, such as
// "moof/traf/tfdt" (ISO/IEC 14496-12, section 4.2).
func box(t *testing.T, data []byte, path string) []byte {
	t.Helper()
	name, rest, more := strings.Cut(path, "/")
	for len(data) >= 8 {
		size := binary.BigEndian.Uint32(data)
		if size < 8 || int(size) > len(data) {
			t.Fatalf("a box of %d bytes where %d are left", size, len(data))
		}
		if string(data[4:8]) == name {
			if more {
				return box(t, data[8:size], rest)
			}
			return data[8:size]
		}
		data = data[size:]
	}
	t.Fatalf("there is no box %s", name)
	return nil
}

// timescale reads "mdhd" of version 0: ticks per second.
func timescale(t *testing.T, init []byte) int64 {
	t.Helper()
	return int64(binary.BigEndian.Uint32(box(t, init, "moov/trak/mdia/mdhd")[12:]))
}

// decodeTime reads "tfdt" of version 1: when the segment begins, in ticks.
func decodeTime(t *testing.T, segment []byte) int64 {
	t.Helper()
	b := box(t, segment, "moof/traf/tfdt")
	if b[0] != 1 {
		t.Fatalf("tfdt has version %d, want 1", b[0])
	}
	return int64(binary.BigEndian.Uint64(b[4:]))
}

// ticks sums the durations of the samples of a segment: those of "trun" where it
// gives them, the default of "tfhd" otherwise.
func ticks(t *testing.T, segment []byte) int64 {
	t.Helper()
	const defaultDuration, eachDuration = 0x08, 0x100
	tfhd := box(t, segment, "moof/traf/tfhd")
	trun := box(t, segment, "moof/traf/trun")
	flags := binary.BigEndian.Uint32(trun) & 0xffffff
	count := int64(binary.BigEndian.Uint32(trun[4:]))
	if flags&eachDuration == 0 {
		return count * int64(defaultOf(t, tfhd, defaultDuration))
	}
	at, step := 8+4*fields(flags&0x05), 4*fields(flags&0xf00)
	var sum int64
	for range count {
		sum += int64(binary.BigEndian.Uint32(trun[at:]))
		at += step
	}
	return sum
}

// defaultOf reads the default sample duration of "tfhd".
func defaultOf(t *testing.T, tfhd []byte, flag uint32) uint32 {
	t.Helper()
	flags := binary.BigEndian.Uint32(tfhd) & 0xffffff
	if flags&flag == 0 {
		t.Fatal("neither trun nor tfhd gives a duration")
	}
	at := 8 // after flags and track
	if flags&0x01 != 0 {
		at += 8 // base data offset
	}
	if flags&0x02 != 0 {
		at += 4 // sample description index
	}
	return binary.BigEndian.Uint32(tfhd[at:])
}

// fields counts the optional fields that flags announce.
func fields(flags uint32) int {
	n := 0
	for ; flags != 0; flags &= flags - 1 {
		n++
	}
	return n
}

func toDuration(ticks, scale int64) time.Duration {
	return time.Duration(ticks) * time.Second / time.Duration(scale)
}

func TestBundledSegmentsFollowEachOther(t *testing.T) {
	for _, track := range bundled(t).Tracks {
		scale := timescale(t, track.Init)
		var next int64
		for i, s := range track.Segments {
			if got := decodeTime(t, s.Data); got != next {
				t.Errorf("%s segment %d begins at tick %d, want %d", track.Name, i, got, next)
			}
			length := ticks(t, s.Data)
			if off := toDuration(length, scale) - s.Duration; off.Abs() > time.Millisecond {
				t.Errorf("%s segment %d lasts %v, and EXTINF says %v", track.Name, i, toDuration(length, scale), s.Duration)
			}
			next += length
		}
	}
}

// The loop lasts as long in every track as its nominal segments do, to the tick:
// otherwise sound and picture would part, or the clock and both.
func TestBundledLoopIsWhole(t *testing.T) {
	c := bundled(t)
	want := time.Duration(c.loop()) * c.Segment
	for _, track := range c.Tracks {
		last := track.Segments[len(track.Segments)-1].Data
		if got := toDuration(decodeTime(t, last)+ticks(t, last), timescale(t, track.Init)); got != want {
			t.Errorf("%s: the loop lasts %v, want %v", track.Name, got, want)
		}
	}
}

// RFC 8216, section 4.3.3.1: rounded to whole seconds, no segment is longer than
// the target duration.
func TestBundledSegmentsKeepTheTargetDuration(t *testing.T) {
	c := bundled(t)
	for _, track := range c.Tracks {
		for i, s := range track.Segments {
			if s.Duration.Round(time.Second) > c.Segment {
				t.Errorf("%s segment %d lasts %v", track.Name, i, s.Duration)
			}
		}
	}
}

func TestBundledChannelIsSmallCMAF(t *testing.T) {
	size := 0
	for _, track := range bundled(t).Tracks {
		if !bytes.Contains(box(t, track.Init, "ftyp"), []byte("cmfc")) {
			t.Errorf("%s: the initialization section lacks the brand cmfc", track.Name)
		}
		if n := bytes.Count(track.Init, []byte("trak")); n != 1 {
			t.Errorf("%s: has %d tracks, want 1", track.Name, n)
		}
		size += len(track.Init)
		for _, s := range track.Segments {
			size += len(s.Data)
		}
	}
	if size > 1_200_000 {
		t.Errorf("the channel has %d bytes", size)
	}
}

// attribute reads one of the multivariant playlist's.
func attribute(t *testing.T, c *Channel, name string) string {
	t.Helper()
	m := regexp.MustCompile(`[:,]` + name + `=("[^"]*"|[^,\n]*)`).FindSubmatch(c.Multivariant)
	if m == nil {
		t.Fatalf("the multivariant playlist has no %s", name)
	}
	return strings.Trim(string(m[1]), `"`)
}

func TestMultivariantSaysWhatTheTracksAre(t *testing.T) {
	c := bundled(t)
	avcC := sample(t, c.Tracks[0].Init, "avcC")
	esds := sample(t, c.Tracks[1].Init, "esds") // ISO/IEC 14496-1, section 7.2.6
	objectType, audioType := esds[17], esds[35]>>3
	codecs := fmt.Sprintf("avc1.%x,mp4a.%x.%d", avcC[1:4], objectType, audioType)
	if got := attribute(t, c, "CODECS"); got != codecs {
		t.Errorf("CODECS %q, want %q", got, codecs)
	}
	entry := sample(t, c.Tracks[0].Init, "avc1")
	size := fmt.Sprintf("%dx%d", binary.BigEndian.Uint16(entry[24:]), binary.BigEndian.Uint16(entry[26:]))
	if got := attribute(t, c, "RESOLUTION"); got != size {
		t.Errorf("RESOLUTION %q, want %q", got, size)
	}
}

// sample returns what follows the type of a box within the sample description.
func sample(t *testing.T, init []byte, kind string) []byte {
	t.Helper()
	_, after, found := bytes.Cut(box(t, init, "moov/trak/mdia/minf/stbl/stsd"), []byte(kind))
	if !found {
		t.Fatalf("there is no %s", kind)
	}
	return after
}

// RFC 8216, section 4.3.4.2: BANDWIDTH is an upper bound of each segment's bit
// rate, all tracks of the variant together, and AVERAGE-BANDWIDTH of the mean.
func TestMultivariantBandwidth(t *testing.T) {
	c := bundled(t)
	var peak, mean float64
	for _, track := range c.Tracks {
		var most, bits, seconds float64
		for _, s := range track.Segments {
			most = max(most, 8*float64(len(s.Data))/s.Duration.Seconds())
			bits += 8 * float64(len(s.Data))
			seconds += s.Duration.Seconds()
		}
		peak += most
		mean += bits / seconds
	}
	for name, real := range map[string]float64{"BANDWIDTH": peak, "AVERAGE-BANDWIDTH": mean} {
		said, err := strconv.ParseFloat(attribute(t, c, name), 64)
		if err != nil {
			t.Fatal(err)
		}
		if said < real || said > 1.1*real {
			t.Errorf("%s is %.0f, and the tracks have %.0f", name, said, real)
		}
	}
}

func TestReadChannelRefusesWhatDoesNotFit(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	whole := func() fstest.MapFS {
		return fstest.MapFS{
			"index.m3u8":   file("#EXTM3U\n"),
			"a/init.mp4":   file("i"),
			"a/media.m3u8": file("#EXTM3U\n#EXTINF:2.000000,\n0.m4s\n"),
			"a/0.m4s":      file("s"),
			"b/init.mp4":   file("i"),
			"b/media.m3u8": file("#EXTM3U\n#EXTINF:2.000000,\n0.m4s\n"),
			"b/0.m4s":      file("s"),
		}
	}
	read := func(root fs.FS) error {
		_, err := readChannel(root, 2*time.Second, "a", "b")
		return err
	}
	if err := read(whole()); err != nil {
		t.Fatal(err)
	}
	for name := range whole() {
		broken := whole()
		delete(broken, name)
		if read(broken) == nil {
			t.Errorf("read a channel without %s", name)
		}
	}
	for _, list := range []string{"#EXTM3U\n", "#EXTINF:2,\n0.m4s\n#EXTINF:2,\n0.m4s\n", "#EXTINF:two,\n0.m4s\n"} {
		broken := whole()
		broken["b/media.m3u8"] = file(list)
		if read(broken) == nil {
			t.Errorf("read a channel with the playlist %q", list)
		}
	}
}
