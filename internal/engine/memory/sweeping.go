package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"headwater/internal/engine"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// DueObjects implements engine.Sweeping.
func (e *Engine) DueObjects(ctx context.Context, t time.Time, limit int) ([]engine.Due, error) {
	if err := e.rlock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.RUnlock()
	var due []engine.Due
	for id, objects := range e.mu.objects {
		for _, v := range objects {
			if v.object.Expired(t) {
				due = append(due, engine.Due{Container: id, Object: v.object})
			}
		}
	}
	slices.SortFunc(due, func(a, b engine.Due) int { return a.Object.ExpiresAt.Compare(b.Object.ExpiresAt) })
	return due[:min(limit, len(due))], nil
}

// WalkObjects implements engine.Sweeping.
func (e *Engine) WalkObjects(ctx context.Context, id mediastore.ContainerID, after mediastore.Path, limit int) ([]mediastore.Object, bool, error) {
	if err := e.rlock(ctx); err != nil {
		return nil, false, err
	}
	defer e.mu.RUnlock()
	objects, ok := e.mu.objects[id]
	if !ok {
		return nil, false, errNoContainer(string(id))
	}
	var page []mediastore.Object
	for path, v := range objects {
		if path > after && !v.transient() {
			page = append(page, v.object)
		}
	}
	slices.SortFunc(page, func(a, b mediastore.Object) int { return strings.Compare(string(a.Path), string(b.Path)) })
	more := len(page) > limit
	return page[:min(limit, len(page))], more, nil
}

// RemoveVersions implements engine.Sweeping.
func (e *Engine) RemoveVersions(ctx context.Context, id mediastore.ContainerID, versions []engine.VersionID, at time.Time, silent bool) ([]mediastore.Object, error) {
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	var gone []mediastore.Object
	for _, wanted := range versions {
		v, ok := e.mu.objects[id][wanted.Path]
		if !ok || v.object.ETag != wanted.ETag {
			continue
		}
		delete(e.mu.objects[id], wanted.Path)
		e.abandonLocked(id, &v.object, at)
		if !silent {
			e.emitLocked(objectEvent(e.mu.byID[id], event.ObjectRemoved, &v.object, at))
		}
		gone = append(gone, v.object)
	}
	return gone, nil
}

// ArchiveVersion implements engine.Sweeping.
func (e *Engine) ArchiveVersion(ctx context.Context, id mediastore.ContainerID, wanted engine.VersionID, moved bool) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	v, ok := e.mu.objects[id][wanted.Path]
	if !ok || v.object.ETag != wanted.ETag {
		return errNoObject()
	}
	next := *v
	next.object.InfrequentAccess = true
	if moved {
		next.object.Archived, next.body = true, nil
		delete(e.mu.leftovers, mediastore.ArchiveName(id, wanted.ETag))
	}
	e.mu.objects[id][wanted.Path] = &next
	return nil
}

// abandonLocked notes what a version leaves behind that is not current any more.
func (e *Engine) abandonLocked(id mediastore.ContainerID, old *mediastore.Object, at time.Time) {
	if old.Archived {
		e.mu.leftovers[mediastore.ArchiveName(id, old.ETag)] = at
	}
}

// NoteLeftover implements engine.Sweeping.
func (e *Engine) NoteLeftover(ctx context.Context, name string, since time.Time) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	e.mu.leftovers[name] = since
	return nil
}

// Leftovers implements engine.Sweeping.
func (e *Engine) Leftovers(ctx context.Context, t time.Time, limit int) ([]string, error) {
	if err := e.rlock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.RUnlock()
	var names []string
	for name, since := range e.mu.leftovers {
		if since.Before(t) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(limit, len(names))], nil
}

// ForgetLeftovers implements engine.Sweeping.
func (e *Engine) ForgetLeftovers(ctx context.Context, names []string) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	for _, name := range names {
		delete(e.mu.leftovers, name)
	}
	return nil
}
