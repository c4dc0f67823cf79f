// Package backup keeps the files of a checkpoint elsewhere, in a directory or below
// a prefix of a bucket, and brings them back.
//
//	backup.go    Take and Restore
//	manifest.go  what a backup says of itself; without it there is none
//	source.go    where files come from, held against their sizes and sums
//	dir.go       a backup in a directory
//	bucket.go    a backup in an S3-compatible store
//
// It must not know a server, nor what is in the files.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// parallel is how many files are under way at a time.
const parallel = 4

// Place is where a backup lies, or is going to.
type Place interface {
	// Check fails unless the place is free for a backup.
	Check(ctx context.Context) error
	// String names the place as Open was told it.
	String() string

	// keep stores a file of a source and returns its SHA-256.
	keep(ctx context.Context, from *Source, f File, moved Moved) (Sum, error)
	// finish stores the manifest, once everything else is durable.
	finish(ctx context.Context, manifest []byte) error
	// undo takes back what keep has done as far as it can, and says what is left.
	undo() error
	// open reads a file from its beginning. It fails with fs.ErrNotExist when there
	// is none.
	open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Moved is told of bytes that are done, by many goroutines at once. They are taken
// back, as a negative number, when they must be moved again.
type Moved func(bytes int64)

// Options are for places in a bucket. All may be empty.
type Options struct {
	Endpoint string // URL of a store that is not AWS's
	Region   string
	Profile  string // of ~/.aws, instead of what the environment says
}

// Open returns the place that spec names: s3://bucket/prefix, or else a directory.
func Open(ctx context.Context, spec string, o Options) (Place, error) {
	if rest, ok := strings.CutPrefix(spec, "s3://"); ok {
		return openBucket(ctx, rest, o)
	}
	if scheme, _, ok := strings.Cut(spec, "://"); ok {
		return nil, fmt.Errorf("%s:// is no place for a backup: name a directory or s3://bucket/prefix", scheme)
	}
	return &dir{path: spec}, nil
}

// Take makes a backup of a source. When it fails there is none: the manifest, which
// makes it one, is written last.
func Take(ctx context.Context, to Place, from *Source, created time.Time, moved Moved) (*Manifest, error) {
	m := &Manifest{Format: format, Created: created.UTC().Truncate(time.Second), Files: from.Files}
	err := m.checkNames()
	if err == nil {
		err = take(ctx, to, from, m, moved)
	}
	if err != nil {
		return nil, errors.Join(interrupted(ctx, err), to.undo())
	}
	return m, nil
}

// interrupted says so when that is why.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

func take(ctx context.Context, to Place, from *Source, m *Manifest, moved Moved) error {
	err := each(ctx, m.Files, func(ctx context.Context, f *File) (err error) {
		f.SHA256, err = to.keep(ctx, from, *f, moved)
		return err
	})
	if err != nil {
		return err
	}
	return to.finish(ctx, m.encode())
}

// each does something with every file, a few at a time, until it fails for one.
func each(ctx context.Context, files []File, do func(context.Context, *File) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range files {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := do(groupCtx, &files[i]); err != nil {
				return fmt.Errorf("%s: %w", files[i].Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err() // some may not have begun
}

// Read returns the manifest of a backup.
func Read(ctx context.Context, from Place) (*Manifest, error) {
	r, err := from.open(ctx, manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no %s: there is no backup, or one that was not completed", from, manifestName)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	return decode(b)
}

// staging is where Restore builds, in the data directory.
const staging = "restoring"

// Restore brings a backup, whose manifest was read, into a data directory that holds
// no store. Everything is held against its SHA-256, and prove is called with a
// directory that looks like the data directory will, before anything appears in it.
func Restore(ctx context.Context, from Place, m *Manifest, data string, prove func(dir string) error, moved Moved) error {
	if err := checkFree(m, data); err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	stage := filepath.Join(data, staging)
	if err := os.Mkdir(stage, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists: another restore is running, or was killed; remove it then", stage)
		}
		return err
	}
	err := fill(ctx, from, m, stage, moved)
	if err == nil {
		err = prove(stage)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = appear(m, stage, data)
	}
	return errors.Join(interrupted(ctx, err), os.RemoveAll(stage))
}

// checkFree refuses to put anything where something is.
func checkFree(m *Manifest, data string) error {
	for _, name := range m.roots() {
		switch _, err := os.Lstat(filepath.Join(data, name)); {
		case err == nil:
			return fmt.Errorf("%s holds a %s already: name a new or empty directory", data, name)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}

// fill brings the files of a backup into a directory.
func fill(ctx context.Context, from Place, m *Manifest, stage string, moved Moved) error {
	source := &Source{Open: from.open}
	err := each(ctx, m.Files, func(ctx context.Context, f *File) error {
		to := filepath.Join(stage, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		_, err := source.fetch(ctx, *f, to, moved)
		return err
	})
	if err != nil {
		return err
	}
	return syncTree(stage)
}

// appear moves what was restored to where it is found: the store last.
func appear(m *Manifest, stage, data string) error {
	for _, name := range m.roots() {
		if err := os.Rename(filepath.Join(stage, name), filepath.Join(data, name)); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(data), syncDir(filepath.Dir(data)))
}

// syncTree makes the names of all files below a directory durable.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
