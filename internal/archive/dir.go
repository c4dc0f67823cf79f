package archive

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"

	"headwater/internal/mediastore"
)

// dir is a tier in a directory: <container>/<first two characters>/<version>. The
// level between keeps folders small, with which file systems are faster. Folders
// that have become empty stay: there are at most some hundred of a container, and
// to remove one would race with a Put.
type dir struct {
	path string
	root *os.Root // nothing outside can be reached, not by a symbolic link either

	// durable has the folders that are known to be in their parents on disk, so
	// that only the first Put into each pays for that.
	durable sync.Map
}

// uploads is the folder of files that are being written.
const uploads = ".headwater-uploads"

// copyBuffer, in bytes, makes few and large writes of a body.
const copyBuffer = 256 << 10

// openDir opens the tier. It never creates the directory: that would be on the
// wrong disk when the right one is not mounted.
func openDir(path string) (Store, error) {
	root, err := os.OpenRoot(path)
	if err == nil {
		// What lies here was being written when a server ended.
		if err = root.RemoveAll(uploads); err != nil {
			err = errors.Join(err, root.Close())
		}
	}
	if err != nil {
		return nil, &mediastore.Error{Op: "archive.open", Kind: mediastore.KindUnavailable, Message: "The cold tier's directory " + path + " must exist, and be the server's to read and write", Err: err}
	}
	return &dir{path: path, root: root}, nil
}

// file returns the path of what has the name, below the root.
func file(name string) (string, error) {
	container, version, err := splitName(name)
	return path.Join(container, version[:min(2, len(version))], version), err
}

// Put implements Store.
func (d *dir) Put(ctx context.Context, name string, body io.Reader, size int64, sum [sha256.Size]byte) error {
	to, err := file(name)
	if err != nil {
		return err
	}
	v, err := newVerified(ctx, body, size, sum)
	if err != nil {
		return failure("archive.put", err)
	}
	temp := path.Join(uploads, rand.Text())
	err = d.write(temp, v)
	if err == nil {
		err = d.publish(temp, to)
	}
	if err != nil {
		return failure("archive.put", errors.Join(err, d.discard(temp)))
	}
	return nil
}

func (d *dir) write(temp string, body io.Reader) error {
	if err := d.root.MkdirAll(uploads, 0o700); err != nil {
		return err
	}
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	// The file's own ReadFrom would write in small pieces.
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, body, make([]byte, copyBuffer))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// publish gives a file that is on disk its name, durably.
func (d *dir) publish(temp, to string) error {
	folder := path.Dir(to)
	if err := d.makeFolder(folder); err != nil {
		return err
	}
	if err := d.root.Rename(temp, to); err != nil {
		d.durable.Delete(folder) // somebody may have tidied empty folders away
		return err
	}
	return d.sync(folder)
}

func (d *dir) makeFolder(folder string) error {
	if _, ok := d.durable.Load(folder); ok {
		return nil
	}
	if err := d.root.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// Also when it was there: whoever made it may not have come to this.
	if err := errors.Join(d.sync(path.Dir(folder)), d.sync(".")); err != nil {
		return err
	}
	d.durable.Store(folder, nil)
	return nil
}

func (d *dir) sync(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// discard removes a file that may not be there.
func (d *dir) discard(file string) error {
	if err := d.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Open implements Store. The Reader is the file, and needs no ctx.
func (d *dir) Open(_ context.Context, name string, size int64) (Reader, error) {
	from, err := file(name)
	if err != nil {
		return nil, err
	}
	f, err := d.root.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lost(name, err)
	}
	if err != nil {
		return nil, failure("archive.open", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(failure("archive.open", err), f.Close())
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		err := mediastore.Errorf(mediastore.KindInternal, "%s has %d bytes and not %d", from, info.Size(), size)
		return nil, errors.Join(lost(name, err), f.Close())
	}
	return f, nil
}

// Remove implements Store.
func (d *dir) Remove(_ context.Context, name string) error {
	from, err := file(name)
	if err != nil {
		return err
	}
	switch err = d.root.Remove(from); {
	case err == nil:
		err = d.sync(path.Dir(from))
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	if err != nil {
		return failure("archive.remove", err)
	}
	return nil
}

// Check implements Store.
func (d *dir) Check(ctx context.Context) error { return check(ctx, d, d.path) }

// Close implements Store.
func (d *dir) Close() error { return d.root.Close() }
