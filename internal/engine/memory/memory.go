// Package memory is the engine that keeps everything in memory: the executable
// specification of the contract, and the fake for the tests of every room above.
//
// It is written to be obviously right, not to be fast: one lock, plain maps, a
// listing that looks at every object. It must not know a file system.
package memory

import (
	"context"
	"errors"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"headwater/internal/engine"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// Engine implements engine.Engine.
type Engine struct {
	mu struct {
		sync.RWMutex
		closed     bool
		containers map[owner]*mediastore.Container
		byID       map[mediastore.ContainerID]*mediastore.Container
		objects    map[mediastore.ContainerID]map[mediastore.Path]*version
		leftovers  map[string]time.Time // since when
		marks      map[string][]byte
		events     []event.Event // those that are kept
		changed    chan struct{} // closed and replaced with every event, and at the end
	}
}

type owner struct {
	account mediastore.AccountID
	name    mediastore.ContainerName
}

// version is immutable once it is in the map.
type version struct {
	object mediastore.Object
	body   []byte // nil when it is archived
}

func (v *version) transient() bool { return !v.object.ExpiresAt.IsZero() }

var _ engine.Engine = (*Engine)(nil)

// New returns an empty engine.
func New() *Engine {
	e := &Engine{}
	e.mu.containers = make(map[owner]*mediastore.Container)
	e.mu.byID = make(map[mediastore.ContainerID]*mediastore.Container)
	e.mu.objects = make(map[mediastore.ContainerID]map[mediastore.Path]*version)
	e.mu.leftovers = make(map[string]time.Time)
	e.mu.marks = make(map[string][]byte)
	e.mu.changed = make(chan struct{})
	return e
}

// Close drops everything.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.closed {
		return nil
	}
	e.mu.closed = true
	e.mu.containers, e.mu.byID, e.mu.objects = nil, nil, nil
	e.mu.leftovers, e.mu.marks, e.mu.events = nil, nil, nil
	close(e.mu.changed)
	return nil
}

// lock takes the lock for writing, unless the engine is closed.
func (e *Engine) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	if e.mu.closed {
		e.mu.Unlock()
		return errClosed()
	}
	return nil
}

// rlock takes the lock for reading, unless the engine is closed.
func (e *Engine) rlock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.RLock()
	if e.mu.closed {
		e.mu.RUnlock()
		return errClosed()
	}
	return nil
}

func errClosed() error {
	return &mediastore.Error{Op: "memory", Kind: mediastore.KindUnavailable, Message: "the engine is closed"}
}

func errNoContainer(name string) error {
	return mediastore.Errorf(mediastore.KindContainerNotFound, "Container not found: %s", name)
}

func errArchived() error {
	return &mediastore.Error{Op: "memory.read", Kind: mediastore.KindInternal, Err: errors.New("the bytes are in the cold tier")}
}

func errNoObject() error {
	return mediastore.Errorf(mediastore.KindObjectNotFound, "Object not found")
}

// CreateContainer implements engine.Containers.
func (e *Engine) CreateContainer(ctx context.Context, c mediastore.Container, limit int) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	if _, ok := e.mu.containers[owner{c.Account, c.Name}]; ok {
		return mediastore.Errorf(mediastore.KindContainerInUse, "A container of this name exists: %s", c.Name)
	}
	if limit > 0 && len(e.namesLocked(c.Account)) >= limit {
		return mediastore.Errorf(mediastore.KindLimitExceeded, "The account has %d containers, which is its limit", limit)
	}
	c = c.Clone()
	e.mu.containers[owner{c.Account, c.Name}] = &c
	e.mu.byID[c.ID] = &c
	e.mu.objects[c.ID] = make(map[mediastore.Path]*version)
	if c.Status == mediastore.StatusActive {
		e.emitLocked(containerEvent(&c, event.ContainerCreated, c.CreatedAt))
	}
	return nil
}

func (e *Engine) namesLocked(account mediastore.AccountID) []mediastore.ContainerName {
	var names []mediastore.ContainerName
	for o := range e.mu.containers {
		if o.account == account {
			names = append(names, o.name)
		}
	}
	slices.Sort(names)
	return names
}

// Container implements engine.Containers.
func (e *Engine) Container(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) (mediastore.Container, error) {
	if err := e.rlock(ctx); err != nil {
		return mediastore.Container{}, err
	}
	defer e.mu.RUnlock()
	c, ok := e.mu.containers[owner{account, name}]
	if !ok {
		return mediastore.Container{}, errNoContainer(string(name))
	}
	return c.Clone(), nil
}

// ContainerByID implements engine.Containers.
func (e *Engine) ContainerByID(ctx context.Context, id mediastore.ContainerID) (mediastore.Container, error) {
	if err := e.rlock(ctx); err != nil {
		return mediastore.Container{}, err
	}
	defer e.mu.RUnlock()
	c, ok := e.mu.byID[id]
	if !ok {
		return mediastore.Container{}, errNoContainer(string(id))
	}
	return c.Clone(), nil
}

// ListContainers implements engine.Containers.
func (e *Engine) ListContainers(ctx context.Context, account mediastore.AccountID, after mediastore.ContainerName, limit int) ([]mediastore.Container, bool, error) {
	if err := e.rlock(ctx); err != nil {
		return nil, false, err
	}
	defer e.mu.RUnlock()
	var page []mediastore.Container
	for _, name := range e.namesLocked(account) {
		if name <= after {
			continue
		}
		if len(page) == limit {
			return page, true, nil
		}
		page = append(page, e.mu.containers[owner{account, name}].Clone())
	}
	return page, false, nil
}

// UpdateContainer implements engine.Containers.
func (e *Engine) UpdateContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, change func(*mediastore.Container) error) (mediastore.Container, error) {
	if err := e.lock(ctx); err != nil {
		return mediastore.Container{}, err
	}
	defer e.mu.Unlock()
	c, ok := e.mu.containers[owner{account, name}]
	if !ok {
		return mediastore.Container{}, errNoContainer(string(name))
	}
	next := c.Clone()
	if err := change(&next); err != nil {
		return mediastore.Container{}, err
	}
	if c.Status != mediastore.StatusActive && next.Status == mediastore.StatusActive {
		e.emitLocked(containerEvent(&next, event.ContainerCreated, next.CreatedAt))
	}
	*c = next.Clone()
	return next, nil
}

// BeginDeleteContainer implements engine.Containers.
func (e *Engine) BeginDeleteContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) (mediastore.Container, error) {
	return e.UpdateContainer(ctx, account, name, func(c *mediastore.Container) error {
		if c.Status != mediastore.StatusActive {
			return mediastore.Errorf(mediastore.KindContainerInUse, "The container is not ACTIVE: its status is %s", c.Status)
		}
		if len(e.mu.objects[c.ID]) > 0 {
			return mediastore.Errorf(mediastore.KindContainerInUse, "The container is not empty: delete its objects first")
		}
		c.Status = mediastore.StatusDeleting
		return nil
	})
}

// RemoveContainer implements engine.Containers.
func (e *Engine) RemoveContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, at time.Time) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	c, ok := e.mu.containers[owner{account, name}]
	if !ok {
		return errNoContainer(string(name))
	}
	if c.Status != mediastore.StatusDeleting {
		return mediastore.Errorf(mediastore.KindContainerInUse, "The container is not being deleted: its status is %s", c.Status)
	}
	delete(e.mu.containers, owner{account, name})
	delete(e.mu.byID, c.ID)
	delete(e.mu.objects, c.ID)
	e.emitLocked(containerEvent(c, event.ContainerRemoved, at))
	return nil
}

// version returns the current version at path.
func (e *Engine) version(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (*version, error) {
	if err := e.rlock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.RUnlock()
	objects, ok := e.mu.objects[id]
	if !ok {
		return nil, errNoContainer(string(id))
	}
	v, ok := objects[path]
	if !ok {
		return nil, errNoObject()
	}
	return v, nil
}

// OpenObject implements engine.Objects.
func (e *Engine) OpenObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (engine.Reader, error) {
	v, err := e.version(ctx, id, path)
	if err != nil {
		return nil, err
	}
	return reader{v}, nil
}

// StatObject implements engine.Objects.
func (e *Engine) StatObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path) (mediastore.Object, error) {
	v, err := e.version(ctx, id, path)
	if err != nil {
		return mediastore.Object{}, err
	}
	return v.object, nil
}

// DeleteObject implements engine.Objects.
func (e *Engine) DeleteObject(ctx context.Context, id mediastore.ContainerID, path mediastore.Path, pre mediastore.Precondition) (mediastore.Object, error) {
	if err := e.lock(ctx); err != nil {
		return mediastore.Object{}, err
	}
	defer e.mu.Unlock()
	objects, ok := e.mu.objects[id]
	if !ok {
		return mediastore.Object{}, errNoContainer(string(id))
	}
	v, ok := objects[path]
	if !ok || v.object.Expired(pre.At) {
		return mediastore.Object{}, errNoObject()
	}
	if err := pre.Check(&v.object); err != nil {
		return mediastore.Object{}, err
	}
	delete(objects, path)
	e.abandonLocked(id, &v.object, pre.At)
	e.emitLocked(objectEvent(e.mu.byID[id], event.ObjectRemoved, &v.object, pre.At))
	return v.object, nil
}

// ListItems implements engine.Objects.
func (e *Engine) ListItems(ctx context.Context, id mediastore.ContainerID, folder mediastore.Folder, after engine.Position, limit int) ([]mediastore.Item, bool, error) {
	if err := e.rlock(ctx); err != nil {
		return nil, false, err
	}
	defer e.mu.RUnlock()
	objects, ok := e.mu.objects[id]
	if !ok {
		return nil, false, errNoContainer(string(id))
	}
	items := level(objects, folder)
	from := sort.Search(len(items), func(i int) bool {
		return after.Before(engine.Position{Name: items[i].Name, Folder: items[i].Folder})
	})
	items = items[from:]
	if len(items) > limit {
		return items[:limit], true, nil
	}
	return items, false, nil
}

// level returns what lies directly in folder, in the order of a listing.
func level(objects map[mediastore.Path]*version, folder mediastore.Folder) []mediastore.Item {
	prefix := string(folder.Join(""))
	seen := make(map[engine.Position]mediastore.Item)
	for path, v := range objects {
		rest, ok := strings.CutPrefix(string(path), prefix)
		if !ok || v.transient() {
			continue
		}
		if name, _, below := strings.Cut(rest, "/"); below {
			seen[engine.Position{Name: name, Folder: true}] = mediastore.Item{Name: name, Folder: true}
		} else {
			seen[engine.Position{Name: rest}] = mediastore.Item{Name: rest, Object: v.object}
		}
	}
	items := make([]mediastore.Item, 0, len(seen))
	for _, item := range seen {
		items = append(items, item)
	}
	slices.SortFunc(items, func(a, b mediastore.Item) int {
		if (engine.Position{Name: a.Name, Folder: a.Folder}).Before(engine.Position{Name: b.Name, Folder: b.Folder}) {
			return -1
		}
		return 1
	})
	return items
}

// NewUpload implements engine.Objects.
func (e *Engine) NewUpload(ctx context.Context, id mediastore.ContainerID, spec engine.UploadSpec) (engine.Upload, error) {
	if err := e.rlock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.RUnlock()
	return &upload{engine: e, id: id, path: spec.Path}, nil
}

func (e *Engine) commit(ctx context.Context, id mediastore.ContainerID, v *version, pre mediastore.Precondition) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	c, ok := e.mu.byID[id]
	if !ok || c.Status != mediastore.StatusActive {
		return errNoContainer(string(id))
	}
	var current *mediastore.Object
	if old, ok := e.mu.objects[id][v.object.Path]; ok {
		current = &old.object
	}
	if err := pre.Check(current); err != nil {
		return err
	}
	if current != nil {
		e.abandonLocked(id, current, pre.At)
	}
	e.mu.objects[id][v.object.Path] = v
	e.emitLocked(objectEvent(c, event.ObjectUpdated, &v.object, pre.At))
	return nil
}

// upload implements engine.Upload. Its bytes are only ever appended to, so a
// slice header taken under the lock can be read without it.
type upload struct {
	engine *Engine
	id     mediastore.ContainerID
	path   mediastore.Path

	mu struct {
		sync.Mutex
		body   []byte
		closed bool
	}
}

func (u *upload) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mu.closed {
		return 0, errClosed()
	}
	u.mu.body = append(u.mu.body, p...)
	return len(p), nil
}

func (u *upload) bytes() []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.mu.body
}

func (u *upload) ReadAt(p []byte, off int64) (int, error) { return readAt(u.bytes(), p, off) }

func (u *upload) Commit(ctx context.Context, obj mediastore.Object, pre mediastore.Precondition) error {
	body := u.bytes()
	obj.Path, obj.Size = u.path, int64(len(body))
	return u.engine.commit(ctx, u.id, &version{object: obj, body: body}, pre)
}

func (u *upload) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.closed, u.mu.body = true, nil
	return nil
}

// reader implements engine.Reader.
type reader struct{ *version }

func (r reader) Object() mediastore.Object { return r.object }
func (r reader) Close() error              { return nil }

func (r reader) ReadAt(p []byte, off int64) (int, error) {
	if r.object.Archived && off < r.object.Size {
		return 0, errArchived()
	}
	return readAt(r.body, p, off)
}

func readAt(body, p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(body)) {
		return 0, io.EOF
	}
	n := copy(p, body[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
