package sweep

import (
	"context"
	"io"
	"time"

	"headwater/internal/engine"
	"headwater/internal/lifecycle"
	"headwater/internal/mediastore"
)

// archiveTurn is how long one step archives before others have their turn, and
// the policy is looked at again. What has begun is brought to its end.
const archiveTurn = time.Second

func newArchiver(s *Sweeper) *walker {
	w := newWalker(s, Archived)
	w.wants = (*lifecycle.Policy).Archives
	w.act = s.archiveDue
	if s.Archive != nil {
		w.spare = s.collectLeftovers
	}
	return w
}

// archiveDue archives those objects whose time has come, for one turn or up to the
// first failure: a tier that fails is left alone for a while.
func (s *Sweeper) archiveDue(ctx context.Context, p *pass, objects []mediastore.Object) (dealt int, err error) {
	began := s.Now()
	for i := range objects {
		now := s.Now()
		if now.Sub(began) >= archiveTurn {
			return i, nil
		}
		if !s.isForArchive(p.policy, &objects[i], now) {
			continue
		}
		if err := s.archive(ctx, p.id, &objects[i]); err != nil {
			return i + 1, err
		}
		s.pay(ctx, s.changes, 1)
	}
	return len(objects), nil
}

// isForArchive reports whether there is something to do about an object. What is
// to be deleted is not archived first.
func (s *Sweeper) isForArchive(policy *lifecycle.Policy, o *mediastore.Object, now time.Time) bool {
	if o.Archived {
		return false
	}
	if at, ok := policy.DeleteAt(o.Path, o.LastModified); ok && !at.After(now) {
		return false
	}
	if o.InfrequentAccess { // marked when there was no tier, and there is no way back
		return s.Archive != nil
	}
	at, ok := policy.ArchiveAt(o.Path, o.LastModified)
	return ok && !at.After(now)
}

// archive moves the bytes of a version to the cold tier or, when there is none,
// marks it. A version that is not current any more is left alone.
func (s *Sweeper) archive(ctx context.Context, id mediastore.ContainerID, o *mediastore.Object) error {
	if s.Archive != nil {
		if there, err := s.copyToTier(ctx, id, o); !there || err != nil {
			return err
		}
	}
	err := s.Engine.ArchiveVersion(ctx, id, versionOf(o), s.Archive != nil)
	if isGone(err) {
		return nil
	}
	if err == nil {
		s.swept(Archived, *o)
	}
	return err
}

// copyToTier puts the bytes of a version into the tier and reports whether they
// are there now. They count as a leftover, from before they exist, until the
// version has them.
func (s *Sweeper) copyToTier(ctx context.Context, id mediastore.ContainerID, o *mediastore.Object) (bool, error) {
	r, err := s.Engine.OpenObject(ctx, id, o.Path)
	if isGone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	if now := r.Object(); now.ETag != o.ETag || now.Archived {
		return false, nil
	}
	name := mediastore.ArchiveName(id, o.ETag)
	if err := s.Engine.NoteLeftover(ctx, name, s.Now()); err != nil {
		return false, err
	}
	err = s.Archive.Put(ctx, name, s.slowly(ctx, r, o.Size), o.Size, o.SHA256)
	return err == nil, err
}

func isGone(err error) bool {
	return mediastore.IsKind(err, mediastore.KindObjectNotFound) || mediastore.IsKind(err, mediastore.KindContainerNotFound)
}

// slowBody is the bytes of a version, no faster than ArchiveRate allows.
type slowBody struct {
	s    *Sweeper
	ctx  context.Context
	from *io.SectionReader
}

func (s *Sweeper) slowly(ctx context.Context, r engine.Reader, size int64) *slowBody {
	return &slowBody{s: s, ctx: ctx, from: io.NewSectionReader(r, 0, size)}
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p[:min(len(p), b.s.moved.Burst())])
	if n > 0 {
		b.s.pay(b.ctx, b.s.moved, n)
	}
	return n, err
}

func (b *slowBody) Seek(offset int64, whence int) (int64, error) { return b.from.Seek(offset, whence) }
