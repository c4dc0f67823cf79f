package app

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"headwater/internal/access"
	"headwater/internal/engine/logstore"
	"headwater/internal/httpapi"
	"headwater/internal/httpapi/backupapi"
)

// storeDir is the store in the data directory.
const storeDir = "store"

// checkpointer is an engine that can be copied while it works.
type checkpointer interface {
	Checkpoint(ctx context.Context, dir string) error
}

// checkpointHandler builds the edge for backups, or nil when the engine has nothing
// on disk.
func (a *App) checkpointHandler(authority *access.Service, adapter *httpapi.Adapter) (http.Handler, error) {
	engine, ok := a.engine.(checkpointer)
	if !ok {
		return nil, nil
	}
	dir, err := filepath.Abs(filepath.Join(a.config.Data, "checkpoints"))
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	a.backups, err = backupapi.New(backupapi.Config{
		Access:      authority,
		Checkpoint:  engine.Checkpoint,
		Dir:         dir,
		Credentials: a.root.file,
		Log:         a.log,
		Now:         time.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("remove checkpoints of an earlier run: %w", err)
	}
	return adapter.Wrap("backup", a.backups.Handle, backupapi.WriteError), nil
}

// CheckStore proves that the store in a data directory that no server uses can be
// opened.
func CheckStore(data string) error {
	e, err := logstore.Open(logstore.Options{Dir: filepath.Join(data, storeDir)})
	if err != nil {
		return plainly(err)
	}
	return e.Close()
}
