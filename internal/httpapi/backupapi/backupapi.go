// Package backupapi is the edge for backups of a running server: below
// /-/checkpoints.
//
// A checkpoint is a copy of what is stored, at one moment, beside the store. A
// backup makes one, takes its files away and removes it. The edge owns how long
// checkpoints last and who may have them; how one is made is the engine's. It must
// not know what is in their files.
package backupapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"headwater/internal/access"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

// action is what a caller must be allowed. MediaStore has no such thing, and no
// action of its prefix can come to mean it.
const action = "headwater:CreateBackup"

// Path is where the checkpoints are. One is at Path/<id>, its files below that.
const Path = "/-/checkpoints"

const (
	maxCheckpoints = 2 // each can come to hold as much of the disk as the store
	idleTime       = 15 * time.Minute
	lookInterval   = time.Minute
	sendTimeout    = 30 * time.Second // for a client to take what is sent at a time
)

// Names of what is in a checkpoint, which are those in a data directory.
const (
	storeName      = "store"
	credentialName = "root-credentials.json"
)

// Config is what an API is made of. All fields but Credentials are required.
type Config struct {
	Access *access.Service
	// Checkpoint copies what is stored, as of now, to a directory that it makes.
	Checkpoint func(ctx context.Context, dir string) error
	// Dir is where checkpoints lie, an absolute path. What is in it is removed by
	// New and when Run ends.
	Dir string
	// Credentials is the file of the generated root key pair, empty when there is
	// none.
	Credentials string
	Log         *slog.Logger
	Now         func() time.Time
}

// API is the edge.
type API struct {
	Config
	mu struct {
		sync.Mutex
		checkpoints map[string]*checkpoint
	}
}

// checkpoint is one that is being made, or is there.
type checkpoint struct {
	dir   string
	files map[string]int64 // sizes by names; nil while it is being made

	// Guarded by API.mu.
	users int // requests that need it
	used  time.Time
}

// New returns the edge, and removes what an earlier run has left.
func New(config Config) (*API, error) {
	a := &API{Config: config}
	a.mu.checkpoints = make(map[string]*checkpoint)
	return a, os.RemoveAll(a.Dir)
}

// Run removes checkpoints that nobody has asked for in a quarter of an hour, until
// ctx ends, and then all of them.
func (a *API) Run(ctx context.Context) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := os.RemoveAll(a.Dir); err != nil {
				a.Log.Warn("checkpoints are left: the next start removes them", "dir", a.Dir, "error", err)
			}
			return
		case <-ticker.C:
			a.removeIdle()
		}
	}
}

// Handle answers one request.
func (a *API) Handle(w *httpapi.Response, r *http.Request) error {
	if err := a.authorize(r); err != nil {
		return err
	}
	id, file, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, Path), "/"), "/")
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case id == "" && r.Method == http.MethodPost:
		return a.create(w, r)
	case id != "" && file == "" && r.Method == http.MethodDelete:
		return a.remove(w, id)
	case id != "" && file != "" && read:
		return a.send(w, r, id, file)
	default:
		return mediastore.Errorf(mediastore.KindMethodNotAllowed, "There is POST %s, GET %s/ID/FILE and DELETE %s/ID", Path, Path, Path)
	}
}

// authorize lets root through. No request here has a body, so the signature must be
// that of none.
func (a *API) authorize(r *http.Request) error {
	if r.ContentLength != 0 {
		return mediastore.Invalid("Body", "must be empty")
	}
	caller, err := a.Access.AuthenticateBody(r, sha256.Sum256(nil))
	if err != nil {
		return err
	}
	return a.Access.AuthorizeControl(caller, action)
}

// Checkpoint is the answer to one that was made.
type Checkpoint struct {
	ID    string `json:"id"`
	Path  string `json:"path"` // of its directory, on the server's machine
	Files []File `json:"files"`
}

// File is a file of a checkpoint. Its name is its path below the checkpoint, and in
// a data directory, with slashes.
type File struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// create makes a checkpoint. With credentials=true in the query it has the root key
// pair too.
func (a *API) create(w *httpapi.Response, r *http.Request) error {
	credentials := r.URL.Query().Get("credentials") == "true"
	if credentials && a.Credentials == "" {
		return mediastore.Invalid("Credentials", "the root key pair is set by the server's configuration and is not in its data directory")
	}
	id := strings.ToLower(rand.Text())
	c, err := a.begin(id)
	if err != nil {
		return err
	}
	files, err := a.build(r.Context(), c.dir, credentials)
	if err != nil {
		return errors.Join(err, a.discard(id, c))
	}
	a.ready(c, files)
	a.Log.Info("a checkpoint was made", "id", id, "files", len(files), "credentials", credentials)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(Checkpoint{ID: id, Path: c.dir, Files: files})
}

// build makes the directory of a checkpoint and returns what is in it.
func (a *API) build(ctx context.Context, dir string, credentials bool) ([]File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := a.Checkpoint(ctx, filepath.Join(dir, storeName)); err != nil {
		return nil, err
	}
	if credentials {
		b, err := os.ReadFile(a.Credentials)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, credentialName), b, 0o600); err != nil {
			return nil, err
		}
	}
	return list(dir)
}

// list returns all files below a directory.
func list(dir string) (files []File, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, File{filepath.ToSlash(name), info.Size()})
		return err
	})
	return files, err
}

// send answers with a file, or a part of it (RFC 9110, section 14).
func (a *API) send(w *httpapi.Response, r *http.Request, id, name string) error {
	c, err := a.use(id)
	if err != nil {
		return err
	}
	defer a.unuse(c)
	if _, ok := c.files[name]; !ok {
		return mediastore.Errorf(mediastore.KindObjectNotFound, "The checkpoint has no such file")
	}
	f, err := os.Open(filepath.Join(c.dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	defer f.Close()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(&patientWriter{w, control, a.Now}, r, "", time.Time{}, f)
	if err := control.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// patientWriter gives each write a time of its own.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	now     func() time.Time
}

func (w *patientWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(w.now().Add(sendTimeout))
	return w.ResponseWriter.Write(p)
}

func (a *API) remove(w *httpapi.Response, id string) error {
	c, err := a.take(id)
	if err != nil {
		return err
	}
	if err := a.discard(id, c); err != nil {
		return err
	}
	a.Log.Info("a checkpoint was removed", "id", id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
