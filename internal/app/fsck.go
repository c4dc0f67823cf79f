package app

import (
	"context"
	"log/slog"
	"path/filepath"

	"headwater/internal/engine/logstore"
)

type (
	// FsckOptions say how much Fsck does.
	FsckOptions = logstore.FsckOptions
	// FsckResult is what it has found.
	FsckResult = logstore.FsckResult
	// FsckProgress is how far it is.
	FsckProgress = logstore.Progress
	// Problem is one thing that is wrong in a store.
	Problem = logstore.Problem
)

// Fsck checks, and when it is told to repairs, the store in a data directory that
// no server has open.
func Fsck(ctx context.Context, data string, log *slog.Logger, o FsckOptions) (FsckResult, error) {
	result, err := logstore.Fsck(ctx, logstore.Options{Dir: filepath.Join(data, storeDir), Log: log}, o)
	return result, plainly(err)
}
