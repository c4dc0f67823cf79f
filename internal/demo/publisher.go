package demo

import (
	"context"
	"log/slog"
	"path"
	"time"
)

// Store takes the files of a channel. Put replaces what is there; Delete of what
// is not there is no error.
type Store interface {
	Put(ctx context.Context, path string, f File) error
	Delete(ctx context.Context, path string) error
}

// File is what is stored at one path.
type File struct {
	ContentType  string
	CacheControl string
	Body         []byte
}

const (
	playlistType = "application/vnd.apple.mpegurl"
	mediaType    = "video/mp4"

	// A media playlist is stale after half a segment's duration at most. The
	// multivariant playlist and the initialization sections change only with
	// the program, a segment never.
	playlistCache = "max-age=1"
	fixedCache    = "max-age=60"
	segmentCache  = "max-age=3600"

	// firstRetry is how long to wait after a failure; the wait doubles up to
	// the duration of a segment.
	firstRetry = 100 * time.Millisecond
)

// Publisher keeps a channel on air. The exported fields are required and must
// not change once it runs. It is not safe for concurrent use.
type Publisher struct {
	Channel *Channel
	Store   Store
	Folder  string // where the channel lies in its container; may be empty
	Window  int    // segments in a media playlist, at least 3 (RFC 8216, section 6.2.2)
	Now     func() time.Time
	Log     *slog.Logger

	begun     bool       // the initialization sections are stored
	announced bool       // the multivariant playlist is stored
	next      Sequence   // the first segment that is not stored
	stored    []Sequence // segments that were not deleted yet, oldest first
}

// Run publishes until ctx ends. A segment is due when its last moment has
// passed; that is reckoned from the time of day, so that delays do not add up. A
// failure is logged and what failed is tried again.
func (p *Publisher) Run(ctx context.Context) {
	failures := 0
	for {
		err := p.CatchUp(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failures++
			p.Log.Warn("publishing the channel failed, trying again", "attempt", failures, "error", err)
		} else if failures > 0 {
			p.Log.Info("the channel is on air again", "attempts", failures)
			failures = 0
		}
		if !sleep(ctx, p.pause(failures)) {
			return
		}
	}
}

// pause returns how long to wait after so many failures in a row.
func (p *Publisher) pause(failures int) time.Duration {
	due := p.Channel.Complete(p.next).Sub(p.Now())
	if failures == 0 {
		return min(due, p.Channel.Segment) // looks again soon when the clock was set back
	}
	wait := min(firstRetry<<min(failures-1, 16), p.Channel.Segment)
	if due > 0 {
		return min(wait, due) // only what can wait failed; the next segment cannot
	}
	return wait
}

// CatchUp stores every segment that is due and of the current window, then the
// playlists, and deletes what left the window long ago. After a first call that
// returned nil a player can start at once. What an earlier call stored is not
// stored again; what one failed to store is.
func (p *Publisher) CatchUp(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	last := max(p.Channel.Newest(p.Now()), p.next-1) // never back, whatever the clock does
	first := max(last-Sequence(p.Window)+1, 0)
	if err := p.putSegments(ctx, first, last); err != nil {
		return err
	}
	if err := p.putPlaylists(ctx, first, last); err != nil {
		return err
	}
	return p.deleteBefore(ctx, first-Sequence(p.Window)-1)
}

// begin stores the initialization sections, which segments are useless without.
func (p *Publisher) begin(ctx context.Context) error {
	if p.begun {
		return nil
	}
	for i := range p.Channel.Tracks {
		t := &p.Channel.Tracks[i]
		if err := p.put(ctx, t.initName(), File{mediaType, fixedCache, t.Init}); err != nil {
			return err
		}
	}
	p.begun = true
	return nil
}

// putSegments stores the segments from first to last that are not stored yet.
// Those before first, after a long interruption, nobody could find any more.
func (p *Publisher) putSegments(ctx context.Context, first, last Sequence) error {
	if len(p.stored) > 0 && p.next < first {
		p.Log.Warn("the channel was interrupted", "segments", int64(first-p.next))
	}
	p.next = max(p.next, first)
	for ; p.next <= last; p.next++ {
		if err := p.putSegment(ctx, p.next); err != nil {
			return err
		}
		p.stored = append(p.stored, p.next)
	}
	return nil
}

func (p *Publisher) putSegment(ctx context.Context, s Sequence) error {
	for i := range p.Channel.Tracks {
		t := &p.Channel.Tracks[i]
		f := File{mediaType, segmentCache, p.Channel.segment(t, s).Data}
		if err := p.put(ctx, t.segmentName(s), f); err != nil {
			return err
		}
	}
	return nil
}

// putPlaylists stores the playlists, each after what it names.
func (p *Publisher) putPlaylists(ctx context.Context, first, last Sequence) error {
	for i := range p.Channel.Tracks {
		t := &p.Channel.Tracks[i]
		f := File{playlistType, playlistCache, p.Channel.MediaPlaylist(t, first, last)}
		if err := p.put(ctx, t.playlistName(), f); err != nil {
			return err
		}
	}
	if p.announced {
		return nil
	}
	if err := p.put(ctx, "index.m3u8", File{playlistType, fixedCache, p.Channel.Multivariant}); err != nil {
		return err
	}
	p.announced = true
	return nil
}

// deleteBefore deletes the stored segments before s. After a segment left the
// playlist it must stay for as long as it and the longest playlist that named it
// last (RFC 8216, section 6.2.2): a window and one more.
func (p *Publisher) deleteBefore(ctx context.Context, s Sequence) error {
	for len(p.stored) > 0 && p.stored[0] < s {
		for _, t := range p.Channel.Tracks {
			if err := p.Store.Delete(ctx, p.path(t.segmentName(p.stored[0]))); err != nil {
				return err
			}
		}
		p.stored = p.stored[1:]
	}
	return nil
}

func (p *Publisher) put(ctx context.Context, name string, f File) error {
	return p.Store.Put(ctx, p.path(name), f)
}

func (p *Publisher) path(name string) string { return path.Join(p.Folder, name) }

// Playlist returns the path of the multivariant playlist, which a player opens.
func (p *Publisher) Playlist() string { return p.path("index.m3u8") }

// sleep waits for d and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
