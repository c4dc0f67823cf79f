// Package demo is a live channel for people who have none at hand: it publishes
// a short bundled loop without end, the way an encoder would, as HLS with CMAF
// segments.
//
// It must not know the server that it publishes to, other than over HTTP: what
// works here works for any encoder. It needs no ffmpeg; generate.sh, which made
// the bundled loop, does.
package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

//go:embed channel
var bundle embed.FS

// bundledSegment is the nominal duration of the bundled segments.
const bundledSegment = 2 * time.Second

// Channel is a loop of media, cut into segments.
type Channel struct {
	// Multivariant is the playlist that names the tracks' own. It never changes.
	Multivariant []byte
	Tracks       []Track
	// Segment is the nominal duration of each segment of each track, in whole
	// seconds. A track's real ones may differ a little, as long as its loop is a
	// whole number of nominal ones.
	Segment time.Duration
}

// Track is one rendition. All tracks of a channel have equally many segments.
type Track struct {
	Name     string // of its playlist, without suffix, and of the folder of its segments
	Init     []byte // the initialization section, "ftyp" and "moov"
	Segments []Segment
}

// Segment is one "moof" and "mdat".
type Segment struct {
	Duration time.Duration
	Data     []byte
}

// Bundled returns the test channel that is built into the program.
func Bundled() (*Channel, error) {
	root, err := fs.Sub(bundle, "channel")
	if err != nil {
		return nil, err
	}
	return readChannel(root, bundledSegment, "360p", "audio")
}

// readChannel reads what generate.sh wrote.
func readChannel(root fs.FS, segment time.Duration, tracks ...string) (*Channel, error) {
	multivariant, err := fs.ReadFile(root, "index.m3u8")
	if err != nil {
		return nil, err
	}
	c := &Channel{Multivariant: multivariant, Segment: segment}
	for _, name := range tracks {
		t, err := readTrack(root, name)
		if err != nil {
			return nil, fmt.Errorf("track %s: %w", name, err)
		}
		c.Tracks = append(c.Tracks, t)
	}
	return c, c.check()
}

// check holds the channel against the rules that its arithmetic rests on.
func (c *Channel) check() error {
	want := len(c.Tracks[0].Segments)
	for _, t := range c.Tracks {
		if len(t.Segments) != want || want == 0 {
			return fmt.Errorf("track %s has %d segments, and the first track %d", t.Name, len(t.Segments), want)
		}
	}
	return nil
}

// readTrack reads a track by the playlist that ffmpeg left beside it, which
// gives the order and the durations of the segments.
func readTrack(root fs.FS, name string) (Track, error) {
	list, err := fs.ReadFile(root, path.Join(name, "media.m3u8"))
	if err != nil {
		return Track{}, err
	}
	t := Track{Name: name}
	if t.Init, err = fs.ReadFile(root, path.Join(name, "init.mp4")); err != nil {
		return Track{}, err
	}
	t.Segments, err = readSegments(root, name, list)
	return t, err
}

// readSegments reads the segments that a playlist names, from folder.
func readSegments(root fs.FS, folder string, playlist []byte) ([]Segment, error) {
	var all []Segment
	var duration time.Duration
	var err error
	for line := range strings.Lines(string(playlist)) {
		line = strings.TrimSpace(line)
		if value, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			duration, err = time.ParseDuration(strings.TrimSuffix(value, ",") + "s")
			if err != nil {
				return nil, err
			}
		}
		if line == "" || line[0] == '#' {
			continue
		}
		data, err := fs.ReadFile(root, path.Join(folder, line))
		if err != nil {
			return nil, err
		}
		all = append(all, Segment{Duration: duration, Data: data})
	}
	return all, nil
}
