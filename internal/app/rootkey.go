package app

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"headwater/internal/access"
	"headwater/internal/config"
)

// rootKey is the root user's access key pair and where it comes from.
type rootKey struct {
	access.Key
	file      string
	generated bool
}

// loadRootKey takes the configured key pair, else the one that an earlier run
// generated, else makes one up and keeps it.
func loadRootKey(c config.Config) (rootKey, error) {
	if c.RootAccessKey != "" {
		return rootKey{Key: access.Key{ID: c.RootAccessKey, Secret: c.RootSecretKey.Reveal()}}, nil
	}
	if c.Engine == config.EngineMemory {
		return rootKey{Key: newKey(), generated: true}, nil
	}
	file := filepath.Join(c.Data, "root-credentials.json")
	key, err := readKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		key = newKey()
		return rootKey{Key: key, file: file, generated: true}, writeKey(file, key)
	}
	return rootKey{Key: key, file: file}, err
}

// newKey makes a key pair of the form that AWS's have, so that tools that look
// at the form take it.
func newKey() access.Key {
	var secret [30]byte
	rand.Read(secret[:])
	return access.Key{
		ID:     "AKIA" + rand.Text()[:16],
		Secret: base64.StdEncoding.EncodeToString(secret[:]),
	}
}

// keyFile is how a key pair is kept.
type keyFile struct {
	AccessKeyID     string
	SecretAccessKey string
}

func readKey(file string) (access.Key, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return access.Key{}, err
	}
	var kept keyFile
	if err := json.Unmarshal(b, &kept); err != nil || kept.AccessKeyID == "" || kept.SecretAccessKey == "" {
		return access.Key{}, fmt.Errorf("%s does not hold an access key pair: delete it to have a new one generated", file)
	}
	return access.Key{ID: kept.AccessKeyID, Secret: kept.SecretAccessKey}, nil
}

// writeKey keeps a key pair where only this user can read it, durably: it is
// shown only once.
func writeKey(file string, key access.Key) error {
	b, err := json.MarshalIndent(keyFile{key.ID, key.Secret}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keep the root credentials: %w", err)
	}
	_, werr := f.Write(append(b, '\n'))
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep the root credentials: %w", err)
	}
	if err := errors.Join(os.Rename(file+".new", file), syncDir(filepath.Dir(file))); err != nil {
		return fmt.Errorf("keep the root credentials: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
