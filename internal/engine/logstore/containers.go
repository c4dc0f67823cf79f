package logstore

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// CreateContainer implements engine.Containers.
func (e *Engine) CreateContainer(ctx context.Context, c mediastore.Container, limit int) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.exit()
	if len(c.ID) != mediastore.ContainerIDLength {
		return mediastore.Invalid("containerID", "must have %d characters", mediastore.ContainerIDLength)
	}
	if err := e.checkSpace(0); err != nil {
		return err
	}
	record := encodeContainer(&c)
	return e.committer.submit(ctx, &createContainer{c, record, limit}, len(record))
}

type createContainer struct {
	container mediastore.Container
	record    []byte
	limit     int
}

func (op *createContainer) apply(tx *txn) error {
	c := &op.container
	if err := op.checkNew(tx); err != nil {
		return err
	}
	if op.limit > 0 {
		n, err := countContainers(tx.batch, c.Account, op.limit)
		if err != nil {
			return err
		}
		if n >= op.limit {
			return mediastore.Errorf(mediastore.KindLimitExceeded, "The account has %d containers, which is its limit", op.limit)
		}
	}
	tx.set(containerKey(c.Account, c.Name), op.record)
	tx.setOwner(c)
	if c.Status == mediastore.StatusActive {
		tx.emitContainer(c, event.ContainerCreated, c.CreatedAt)
	}
	return nil
}

// checkNew checks that neither the name nor the ID is taken.
func (op *createContainer) checkNew(tx *txn) error {
	c := &op.container
	_, found, err := lookup(tx.batch, containerKey(c.Account, c.Name), decodeContainer)
	if err != nil {
		return err
	}
	if found {
		return mediastore.Errorf(mediastore.KindContainerInUse, "A container of this name exists: %s", c.Name)
	}
	_, found, err = lookup(tx.batch, idKey(c.ID), decodeOwner)
	if err == nil && found {
		err = mediastore.Errorf(mediastore.KindContainerInUse, "A container of this ID exists: %s", c.ID)
	}
	return err
}

// countContainers counts the containers of an account, up to limit.
func countContainers(r pebble.Reader, account mediastore.AccountID, limit int) (n int, err error) {
	prefix := accountPrefix(account)
	err = scan(r, prefix, prefix, func([]byte, *pebble.Iterator) (bool, error) {
		n++
		return n < limit, nil
	})
	return n, err
}

// Container implements engine.Containers.
func (e *Engine) Container(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) (mediastore.Container, error) {
	if err := e.enter(ctx); err != nil {
		return mediastore.Container{}, err
	}
	defer e.exit()
	return lookupContainer(e.index, account, name)
}

// ContainerByID implements engine.Containers.
func (e *Engine) ContainerByID(ctx context.Context, id mediastore.ContainerID) (mediastore.Container, error) {
	if err := e.enter(ctx); err != nil {
		return mediastore.Container{}, err
	}
	defer e.exit()
	o, err := lookupOwner(e.index, id)
	if err != nil {
		return mediastore.Container{}, err
	}
	c, err := lookupContainer(e.index, o.account, o.name)
	if err == nil && c.ID != id { // removed and made again since the first look
		err = errNoContainer(string(id))
	}
	return c, err
}

// ListContainers implements engine.Containers.
func (e *Engine) ListContainers(ctx context.Context, account mediastore.AccountID, after mediastore.ContainerName, limit int) (page []mediastore.Container, more bool, err error) {
	if err := e.enter(ctx); err != nil {
		return nil, false, err
	}
	defer e.exit()
	from := append(containerKey(account, after), separator)
	if after == "" {
		from = accountPrefix(account)
	}
	err = scan(e.index, accountPrefix(account), from, func(_ []byte, it *pebble.Iterator) (bool, error) {
		if more = len(page) >= limit; more {
			return false, nil
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		c, err := decodeContainer(value)
		page = append(page, c)
		return true, err
	})
	if err != nil {
		return nil, false, err
	}
	return page, more, nil
}

// errStale: the record has changed since it was read.
var errStale = errors.New("the container has changed")

// UpdateContainer implements engine.Containers. change runs here and not in the
// committer, so that it holds up nobody; when somebody else was faster it runs
// again.
func (e *Engine) UpdateContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, change func(*mediastore.Container) error) (mediastore.Container, error) {
	for {
		c, err := e.tryUpdate(ctx, account, name, change)
		if !errors.Is(err, errStale) {
			return c, err
		}
	}
}

func (e *Engine) tryUpdate(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, change func(*mediastore.Container) error) (mediastore.Container, error) {
	if err := e.enter(ctx); err != nil {
		return mediastore.Container{}, err
	}
	defer e.exit()
	c, err := lookupContainer(e.index, account, name)
	if err != nil {
		return mediastore.Container{}, err
	}
	op := &replaceContainer{old: encodeContainer(&c)}
	if err := change(&c); err != nil {
		return mediastore.Container{}, err
	}
	c = c.Clone()
	op.container, op.record = c, encodeContainer(&c)
	if err := e.committer.submit(ctx, op, len(op.record)); err != nil {
		return mediastore.Container{}, err
	}
	return c, nil
}

// replaceContainer puts a new record in the place of the one it was made from.
type replaceContainer struct {
	container   mediastore.Container
	old, record []byte
}

func (op *replaceContainer) apply(tx *txn) error {
	c := &op.container
	current, err := lookupContainer(tx.batch, c.Account, c.Name)
	if err != nil {
		return err
	}
	if !bytes.Equal(encodeContainer(&current), op.old) {
		return errStale
	}
	if current.ID != c.ID {
		return ioError("logstore.update", errors.New("the ID of a container was changed"))
	}
	tx.set(containerKey(c.Account, c.Name), op.record)
	tx.setOwner(c)
	if current.Status != mediastore.StatusActive && c.Status == mediastore.StatusActive {
		tx.emitContainer(c, event.ContainerCreated, c.CreatedAt)
	}
	return nil
}

// BeginDeleteContainer implements engine.Containers.
func (e *Engine) BeginDeleteContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) (mediastore.Container, error) {
	if err := e.enter(ctx); err != nil {
		return mediastore.Container{}, err
	}
	defer e.exit()
	op := &beginDelete{account: account, name: name}
	if err := e.committer.submit(ctx, op, 0); err != nil {
		return mediastore.Container{}, err
	}
	return op.container, nil
}

// beginDelete is atomic against uploads because they commit through the same
// committer: it sees what those before it have stored, and those after it find the
// new status.
type beginDelete struct {
	account   mediastore.AccountID
	name      mediastore.ContainerName
	container mediastore.Container
}

func (op *beginDelete) apply(tx *txn) error {
	c, err := lookupContainer(tx.batch, op.account, op.name)
	if err != nil {
		return err
	}
	if c.Status != mediastore.StatusActive {
		return mediastore.Errorf(mediastore.KindContainerInUse, "The container is not ACTIVE: its status is %s", c.Status)
	}
	if err := checkEmpty(tx, c.ID); err != nil {
		return err
	}
	c.Status = mediastore.StatusDeleting
	tx.set(containerKey(c.Account, c.Name), encodeContainer(&c))
	tx.setOwner(&c)
	op.container = c
	return nil
}

func checkEmpty(tx *txn, id mediastore.ContainerID) error {
	n, _, err := lookup(tx.batch, countKey(id, ""), decodeCount)
	empty := n == 0
	if err == nil && empty {
		empty, err = isEmpty(tx.batch, transientPrefix(id, 0))
	}
	if err == nil && !empty {
		err = mediastore.Errorf(mediastore.KindContainerInUse, "The container is not empty: delete its objects first")
	}
	return err
}

// isEmpty reports whether no key begins with prefix.
func isEmpty(r pebble.Reader, prefix []byte) (bool, error) {
	empty := true
	err := scan(r, prefix, prefix, func([]byte, *pebble.Iterator) (bool, error) {
		empty = false
		return false, nil
	})
	return empty, err
}

// RemoveContainer implements engine.Containers.
func (e *Engine) RemoveContainer(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, at time.Time) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.exit()
	return e.committer.submit(ctx, &removeContainer{account, name, at}, 0)
}

type removeContainer struct {
	account mediastore.AccountID
	name    mediastore.ContainerName
	at      time.Time
}

func (op *removeContainer) apply(tx *txn) error {
	c, err := lookupContainer(tx.batch, op.account, op.name)
	if err != nil {
		return err
	}
	if c.Status != mediastore.StatusDeleting {
		return mediastore.Errorf(mediastore.KindContainerInUse, "The container is not being deleted: its status is %s", c.Status)
	}
	if err := checkEmpty(tx, c.ID); err != nil {
		return err
	}
	tx.delete(containerKey(c.Account, c.Name))
	tx.dropOwner(c.ID)
	tx.emitContainer(&c, event.ContainerRemoved, op.at)
	return nil
}
