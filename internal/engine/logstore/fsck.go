package logstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// FsckOptions say how much Fsck does.
type FsckOptions struct {
	// Bodies makes it read every body, and not only the index.
	Bodies bool
	// Repair makes it bring in order what it can.
	Repair bool
	// At is the moment that repairs are noted with.
	At time.Time
	// Report, unless nil, is told each problem, once.
	Report func(Problem)
	// Progress, unless nil, is told how far the check is, often: it must be
	// quick.
	Progress func(Progress)
}

// FsckResult is what Fsck leaves behind.
type FsckResult struct {
	Problems int // that were found
	Left     int // of those: that are still there
	Orphans  int // volume files that hold nothing; they are no problem, and go at the next start or by a repair
}

// maxPasses is how often a repair looks again: what brings one thing in order can
// be what makes the next one wrong, as an object that goes its folder's count,
// and that its parent's.
const maxPasses = 1000

// Fsck checks a store that is not open, and repairs it when it is told to. What it
// needs in order to begin is less than what Open needs. Without a repair it
// changes nothing. It fails with ErrInUse when a process has the directory open,
// ErrFormat when it is not a store, and when the index cannot be read from its
// first to its last byte; then nothing is repaired.
//
// A repair puts right what follows from the objects: counts, live bytes,
// expiries, the ways to containers. It removes versions whose bytes are gone or
// damaged (of bodies, only when it reads them), and reports each as Lost. It
// never removes bytes that something undamaged names.
func Fsck(ctx context.Context, options Options, o FsckOptions) (FsckResult, error) {
	options.readOnly = !o.Repair
	e := &Engine{options: options.withDefaults()}
	e.scratch.New = func() any { return new([BlockSize]byte) }
	f := fsck{engine: e, options: o}
	err := f.open()
	if err == nil {
		err = f.run(ctx)
	}
	err = errors.Join(err, e.closeFiles())
	return f.result, ioError("logstore.fsck", err)
}

type fsck struct {
	engine   *Engine
	options  FsckOptions
	suspects map[volumeID][]span
	last     *checker
	result   FsckResult
}

// open opens what a check needs. It does not remove volumes that the index does
// not name: what names them may be what is damaged.
func (f *fsck) open() (err error) {
	e, o := f.engine, &f.engine.options
	found, err := readSmall(o.FS, o.FS.PathJoin(o.Dir, "FORMAT"))
	if err != nil {
		return errFormat(o.Dir, "is not a store: its file FORMAT cannot be read")
	}
	if found != format && found != formatBefore {
		return errFormat(o.Dir, fmt.Sprintf("is of the unknown format %q", found))
	}
	if e.lock, err = lockDir(o.FS, o.Dir); err != nil {
		return err
	}
	if f.options.Repair {
		if err := checkFormat(o.FS, o.Dir); err != nil {
			return err
		}
	}
	if e.index, err = openIndex(o.FS.PathJoin(o.Dir, "index"), o); err != nil {
		return fmt.Errorf("the index cannot be opened: %w", err)
	}
	e.volumes = newVolumes(o, e.index.fuse.blown)
	return nil
}

func (f *fsck) run(ctx context.Context) error {
	first, err := f.pass(ctx, f.options.Bodies, true)
	if err != nil {
		return err
	}
	if f.options.Repair && f.result.Problems > 0 {
		if err := f.repair(ctx, first); err != nil {
			return err
		}
	}
	return f.removeOrphans()
}

// repair applies what a pass has found to be right, and looks again, until
// there is nothing more to do.
func (f *fsck) repair(ctx context.Context, c *checker) error {
	for range maxPasses {
		if len(c.fixes) == 0 && len(c.overlaps) == len(f.suspects) {
			return nil
		}
		f.suspects = c.overlaps
		if err := f.apply(c.fixes); err != nil {
			return err
		}
		next, err := f.pass(ctx, false, false)
		if err != nil {
			return err
		}
		c = next
	}
	return errors.New("repairs do not come to an end")
}

// pass checks once. All problems of the first pass are reported, and of later
// ones what they say of objects that are lost: the rest follows from repairs.
func (f *fsck) pass(ctx context.Context, bodies, first bool) (*checker, error) {
	c := newChecker(ctx, f.engine, f.engine.index)
	c.bodies, c.at, c.suspects = bodies, f.options.At, f.suspects
	if first && f.options.Progress != nil {
		c.progress = f.options.Progress
	}
	f.result.Left = 0
	c.report = func(p Problem) {
		f.result.Left++
		if first || p.Lost {
			f.report(p)
		}
	}
	f.last = c
	return c, c.run()
}

func (f *fsck) report(p Problem) {
	f.result.Problems++
	if f.options.Report != nil {
		f.options.Report(p)
	}
}

func (f *fsck) apply(fixes []entry) (err error) {
	batch := f.engine.index.NewBatch()
	defer batch.Close()
	for _, e := range fixes {
		if e.value == nil {
			err = errors.Join(err, batch.Delete(e.key, nil))
		} else {
			err = errors.Join(err, batch.Set(e.key, e.value, nil))
		}
	}
	if err != nil {
		return err
	}
	return f.engine.index.commit(batch)
}

// removeOrphans counts the volume files that nothing names, and removes them in
// a repair that has left no problem.
func (f *fsck) removeOrphans() error {
	vs := f.engine.volumes
	names, err := vs.fs.List(vs.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		id, ok := parseVolumeName(name)
		if !ok || f.last.volumes[id] != nil {
			continue
		}
		f.result.Orphans++
		if f.options.Repair && f.result.Left == 0 {
			if err := vs.fs.Remove(vs.path(id)); err != nil {
				return err
			}
		}
	}
	if f.options.Repair {
		return syncDir(vs.fs, vs.dir)
	}
	return nil
}
