package backupapi

import (
	"os"
	"path/filepath"

	"headwater/internal/mediastore"
)

// begin takes one of the places that there are for checkpoints. The checkpoint is
// not to be had before it is ready.
func (a *API) begin(id string) (*checkpoint, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.mu.checkpoints) >= maxCheckpoints {
		return nil, mediastore.Errorf(mediastore.KindUnavailable,
			"There are %d checkpoints already, for other backups: they go when these end, or %v after they were used last", maxCheckpoints, idleTime)
	}
	c := &checkpoint{dir: filepath.Join(a.Dir, id), users: 1}
	a.mu.checkpoints[id] = c
	return c, nil
}

// ready ends what begin began.
func (a *API) ready(c *checkpoint, files []File) {
	sizes := make(map[string]int64, len(files))
	for _, f := range files {
		sizes[f.Name] = f.Size
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.files = sizes
	c.users--
	c.used = a.Now()
}

// use finds a checkpoint, which stays until unuse is called.
func (a *API) use(id string) (*checkpoint, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.mu.checkpoints[id]
	if c == nil || c.files == nil {
		return nil, errNoCheckpoint()
	}
	c.users++
	return c, nil
}

func (a *API) unuse(c *checkpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.users--
	c.used = a.Now()
}

// take finds a checkpoint for who is going to remove it. Nobody else finds it any
// more, but its place is taken until it is gone. Who has a file of it open reads on.
func (a *API) take(id string) (*checkpoint, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.mu.checkpoints[id]
	if c == nil || c.files == nil {
		return nil, errNoCheckpoint()
	}
	c.files = nil
	return c, nil
}

// discard removes a checkpoint that was taken, or could not be made.
func (a *API) discard(id string, c *checkpoint) error {
	err := os.RemoveAll(c.dir)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.mu.checkpoints, id)
	return err
}

// removeIdle removes what nobody has used for long: its backup has died.
func (a *API) removeIdle() {
	for _, id := range a.idle() {
		c, err := a.take(id)
		if err != nil { // somebody was faster
			continue
		}
		err = a.discard(id, c)
		a.Log.Warn("a checkpoint was removed that nobody had used for long", "id", id, "error", err)
	}
}

func (a *API) idle() (ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, c := range a.mu.checkpoints {
		if c.files != nil && c.users == 0 && a.Now().Sub(c.used) >= idleTime {
			ids = append(ids, id)
		}
	}
	return ids
}

func errNoCheckpoint() error {
	return mediastore.Errorf(mediastore.KindObjectNotFound, "There is no such checkpoint, or not any more")
}
