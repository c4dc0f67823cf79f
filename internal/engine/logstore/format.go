package logstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/mediastore"
)

// What the file FORMAT says. All that is in a store of formatBefore means the same
// in format, so it is only renamed: from then on, who knows the older one alone
// must keep away.
const (
	format       = "headwater logstore 2\n"
	formatBefore = "headwater logstore 1\n"
)

// checkFormat compares the format of the directory with ours, or notes ours in a
// new one. That is done before there is an index, so a directory with an index
// and no format is not one of ours.
func checkFormat(fsys vfs.FS, dir string) error {
	found, err := readSmall(fsys, fsys.PathJoin(dir, "FORMAT"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return initDir(fsys, dir)
	case err != nil:
		return err
	case found == formatBefore:
		return writeFormat(fsys, dir)
	case found != format:
		return errFormat(dir, fmt.Sprintf("is of format %q, this version knows %q and the one before",
			strings.TrimSpace(found), strings.TrimSpace(format)))
	}
	return nil
}

func errFormat(dir, problem string) error {
	return &mediastore.Error{
		Op:      "logstore.open",
		Kind:    mediastore.KindUnavailable,
		Message: fmt.Sprintf("data directory %s %s", dir, problem),
		Err:     ErrFormat,
	}
}

// initDir notes the format in a new directory.
func initDir(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(fsys.PathJoin(dir, "index")); err == nil {
		return errFormat(dir, "has an index and no file FORMAT")
	}
	return writeFormat(fsys, dir)
}

// writeFormat writes the format and makes it and the directory durable.
func writeFormat(fsys vfs.FS, dir string) error {
	temporary := fsys.PathJoin(dir, "FORMAT.new")
	if err := writeSynced(fsys, temporary, format); err != nil {
		return err
	}
	if err := fsys.Rename(temporary, fsys.PathJoin(dir, "FORMAT")); err != nil {
		return err
	}
	if err := syncDir(fsys, dir); err != nil {
		return err
	}
	return syncDir(fsys, fsys.PathDir(dir))
}

func writeSynced(fsys vfs.FS, name, text string) error {
	f, err := fsys.Create(name, writeCategory)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(text)); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

// readSmall reads the beginning of a file, which is all of it when it is ours.
func readSmall(fsys vfs.FS, name string) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 256))
	return string(b), err
}
