package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// dir is a backup in a directory: files by their names, and the manifest.
type dir struct {
	path string
	made bool // the directory was not there
}

func (d *dir) String() string { return d.path }

func (d *dir) file(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

// Check implements Place.
func (d *dir) Check(context.Context) error {
	entries, err := os.ReadDir(d.path)
	d.made = errors.Is(err, fs.ErrNotExist)
	switch {
	case d.made:
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: a backup needs a new or empty directory", d.path)
	}
	return nil
}

// keep links the file when it can, and else downloads it.
func (d *dir) keep(ctx context.Context, from *Source, f File, moved Moved) (Sum, error) {
	to := d.file(f.Name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", err
	}
	if !from.link(f, to) {
		return from.fetch(ctx, f, to, moved)
	}
	file, err := os.Open(to)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if err := file.Sync(); err != nil {
		return "", err
	}
	return transfer(ctx, io.Discard, file, f, moved)
}

func (d *dir) finish(_ context.Context, manifest []byte) error {
	if err := syncTree(d.path); err != nil {
		return err
	}
	temporary := d.file(manifestName + ".new")
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(manifest)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, d.file(manifestName)); err != nil {
		return err
	}
	return errors.Join(syncDir(d.path), syncDir(filepath.Dir(d.path)))
}

// undo removes what was put, the manifest first.
func (d *dir) undo() error {
	if d.made {
		return errors.Join(d.removeManifest(), os.RemoveAll(d.path))
	}
	return errors.Join(d.removeManifest(), os.RemoveAll(d.file(storeName)), os.RemoveAll(d.file(credentialsName)))
}

func (d *dir) removeManifest() error {
	return errors.Join(os.RemoveAll(d.file(manifestName)), os.RemoveAll(d.file(manifestName+".new")))
}

func (d *dir) open(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(d.file(name))
}
