package logstore

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"
)

// scrubber reads, slowly and for ever, what is in the volumes and holds it
// against its checksums, so that a disk that fades is noticed while there is
// another copy. What is in the index Pebble verifies as the scrubber walks it.
// Where it was is noted, so that a pass goes on after a restart.
type scrubber struct {
	engine *Engine
	pace   pace
	saved  int // pages since the place was noted

	bytes, passes atomic.Int64 // for Stats
}

const (
	// scrubDuration and scrubPause make a week.
	scrubDuration = 6 * 24 * time.Hour
	scrubPause    = 24 * time.Hour
	scrubStart    = time.Minute // after Open, and after a failure
	// slowestScrub keeps a small store from having a volume open for long.
	slowestScrub = 1 << 20 // bytes per second
	// scrubSave is after how many pages the place is noted.
	scrubSave = 64
)

func scrubMark() []byte { return markKey("logstore/scrub") }

// run scrubs until ctx ends.
func (s *scrubber) run(ctx context.Context) {
	for pause := scrubStart; rest(ctx, pause) == nil; {
		pause = scrubPause
		if err := s.pass(ctx); err != nil && ctx.Err() == nil {
			s.engine.options.Log.Warn("the search for damaged bytes stopped, and will be tried again", "error", err)
			pause = scrubStart
		}
	}
}

// pass goes on where the last one was, to the end.
func (s *scrubber) pass(ctx context.Context) error {
	from, found, err := lookup(s.engine.index, scrubMark(), func(b []byte) ([]byte, error) { return bytes.Clone(b), nil })
	if err != nil {
		return err
	}
	if !found {
		from = walkStart()
	}
	lasting := func(r *objectRecord) bool { return !r.transient() }
	for from != nil {
		p, err := readPage(s.engine.index, from, lasting)
		if err != nil {
			return err
		}
		if err := s.scrub(ctx, p); err != nil {
			return err
		}
		from = p.next
		if err := s.save(ctx, from); err != nil {
			return err
		}
	}
	s.passes.Add(1)
	return nil
}

func (s *scrubber) scrub(ctx context.Context, p *walkPage) error {
	s.pace.rate = s.rate()
	if err := s.pace.spend(ctx, p.read); err != nil {
		return err
	}
	for _, err := range p.damaged {
		s.engine.damaged.Add(1)
		s.engine.options.Log.Error("the record of an object is damaged", "error", err)
	}
	for i := range p.versions {
		v := &p.versions[i]
		err := s.scrubVersion(ctx, v)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !s.engine.hasChanged(v) {
			s.engine.reportDamage(v, err)
		}
	}
	return nil
}

// rate is what the options say, or what makes a pass last scrubDuration.
func (s *scrubber) rate() int64 {
	if rate := s.engine.options.ScrubRate; rate > 0 {
		return rate
	}
	return max(slowestScrub, s.engine.volumes.live.Load()/int64(scrubDuration/time.Second))
}

func (s *scrubber) scrubVersion(ctx context.Context, v *located) error {
	for _, x := range v.record.extents {
		if err := s.scrubExtent(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// scrubExtent holds a volume for one extent only: a volume that dies meanwhile
// must not wait for all of a large object.
func (s *scrubber) scrubExtent(ctx context.Context, x extent) error {
	v, err := s.engine.volumes.acquire(x.volume)
	if err != nil {
		return err
	}
	defer s.engine.volumes.release(v)
	table, err := loadTable(v.file, x)
	if err != nil {
		return err
	}
	buffer := s.engine.scratch.Get().(*[BlockSize]byte)
	defer s.engine.scratch.Put(buffer)
	source := verifiedReader{file: v.file, extent: x, table: table, scratch: &s.engine.scratch}
	for off := int64(0); off < x.length; off += BlockSize {
		block := buffer[:min(BlockSize, x.length-off)]
		if err := source.readBlocks(block, off); err != nil {
			return err
		}
		s.bytes.Add(int64(len(block)))
		if err := s.pace.spend(ctx, int64(len(block))); err != nil {
			return err
		}
	}
	return nil
}

// save notes where the next page begins, from time to time and at the end, when
// the place is forgotten.
func (s *scrubber) save(ctx context.Context, from []byte) error {
	if s.saved++; from != nil && s.saved < scrubSave {
		return nil
	}
	s.saved = 0
	return s.engine.committer.submit(ctx, writeEntries{{scrubMark(), from}}, len(from))
}
