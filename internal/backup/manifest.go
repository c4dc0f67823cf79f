package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	manifestName = "headwater-backup.json"
	format       = "headwater backup 1"
	maxManifest  = 256 << 20 // bytes: about two million files
)

// What a backup can hold, and a data directory: the store, and the root key pair.
const (
	storeName       = "store"
	credentialsName = "root-credentials.json"
)

// Manifest says what a backup holds. It is written last, so a backup without one is
// not complete.
type Manifest struct {
	Format  string    `json:"format"`
	Created time.Time `json:"created"` // when the checkpoint was made, in whole seconds
	Files   []File    `json:"files"`
}

// File is one of a backup. Its name is its path in a data directory, with slashes.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 Sum    `json:"sha256"`
}

// Sum is a SHA-256, in lower-case hexadecimal digits.
type Sum string

// Size is that of all files together, in bytes.
func (m *Manifest) Size() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// HasCredentials reports whether the root key pair is in the backup.
func (m *Manifest) HasCredentials() bool {
	return slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == credentialsName })
}

// roots are what appears in a data directory, the store last.
func (m *Manifest) roots() []string {
	if m.HasCredentials() {
		return []string{credentialsName, storeName}
	}
	return []string{storeName}
}

func (m *Manifest) encode() []byte {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		panic(err) // there is nothing in it that JSON cannot say
	}
	return append(b, '\n')
}

// decode reads a manifest and refuses one that is not ours, or not whole.
func decode(b []byte) (*Manifest, error) {
	if len(b) > maxManifest {
		return nil, fmt.Errorf("%s is larger than %d bytes", manifestName, maxManifest)
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", manifestName, err)
	}
	if m.Format != format {
		return nil, fmt.Errorf("%s is of format %q, this version knows %q", manifestName, m.Format, format)
	}
	if err := m.checkNames(); err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		if b, err := hex.DecodeString(string(f.SHA256)); err != nil || len(b) != sha256.Size || f.Size < 0 {
			return nil, fmt.Errorf("%s: the size or sum of %q makes no sense", manifestName, f.Name)
		}
	}
	return &m, nil
}

// checkNames: every file lies in the store or is the root key pair, and there is
// only one of each. A name must not lead elsewhere.
func (m *Manifest) checkNames() error {
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		inStore := strings.HasPrefix(f.Name, storeName+"/") && path.Clean(f.Name) == f.Name && !strings.ContainsAny(f.Name, "\\:\x00")
		if !inStore && f.Name != credentialsName || seen[f.Name] {
			return fmt.Errorf("%q is not the name of a file of a backup, or is there twice", f.Name)
		}
		seen[f.Name] = true
	}
	if !seen[storeName+"/FORMAT"] {
		return errors.New("there is no store/FORMAT: that is not a whole store")
	}
	return nil
}
