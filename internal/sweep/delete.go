package sweep

import (
	"context"

	"headwater/internal/engine"
	"headwater/internal/lifecycle"
	"headwater/internal/mediastore"
)

func newDeleter(s *Sweeper) *walker {
	w := newWalker(s, Deleted)
	w.wants = (*lifecycle.Policy).Deletes
	w.act = s.deleteDue
	return w
}

// deleteDue removes those objects whose time has come, at most one batch.
func (s *Sweeper) deleteDue(ctx context.Context, p *pass, objects []mediastore.Object) (dealt int, err error) {
	now := s.Now()
	var due []engine.VersionID
	for i := range objects {
		dealt = i + 1
		if at, ok := p.policy.DeleteAt(objects[i].Path, objects[i].LastModified); ok && !at.After(now) {
			due = append(due, versionOf(&objects[i]))
		}
		if len(due) == s.batch {
			break
		}
	}
	if due == nil {
		return dealt, nil
	}
	gone, err := s.Engine.RemoveVersions(ctx, p.id, due, now, false)
	s.swept(Deleted, gone...)
	s.pay(ctx, s.changes, len(due))
	return dealt, err
}
