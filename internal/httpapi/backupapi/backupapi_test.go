package backupapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/access"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

// server is the edge over a store of two files.
type server struct {
	t      *testing.T
	api    *API
	handle http.Handler
	fail   error // of making a checkpoint
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "checkpoints", "left", "over"), "of an earlier run")
	write(t, filepath.Join(dir, credentialName), "the key pair")
	var err error
	s.api, err = New(Config{
		Access:      access.New(access.Config{Account: "111122223333", Region: "us-east-1", Root: access.Key{ID: "AKIDROOT", Secret: "secret"}, Now: time.Now}),
		Checkpoint:  s.checkpoint,
		Dir:         filepath.Join(dir, "checkpoints"),
		Credentials: filepath.Join(dir, credentialName),
		Log:         slog.New(slog.DiscardHandler),
		Now:         time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	s.handle = adapter.Wrap("backup", s.api.Handle, WriteError)
	return s
}

func (s *server) checkpoint(_ context.Context, dir string) error {
	write(s.t, filepath.Join(dir, "FORMAT"), "format")
	write(s.t, filepath.Join(dir, "volumes", "0.vol"), "0123456789")
	return s.fail
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// do sends a request as root. Extra headers are name, value pairs.
func (s *server) do(method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.SetBasicAuth("AKIDROOT", "secret")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handle.ServeHTTP(w, r)
	return w
}

func (s *server) create(query string) Checkpoint {
	s.t.Helper()
	w := s.do("POST", "/-/checkpoints"+query)
	var c Checkpoint
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || w.Code != http.StatusCreated {
		s.t.Fatalf("POST: %d %s, %v", w.Code, w.Body, err)
	}
	return c
}

// there reports whether there is a directory or file.
func there(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestCheckpoint(t *testing.T) {
	s := newServer(t)
	if there(filepath.Join(s.api.Dir, "left")) {
		t.Error("what an earlier run has left is still there")
	}
	c := s.create("")
	want := []File{{"store/FORMAT", 6}, {"store/volumes/0.vol", 10}}
	if diff := cmp.Diff(want, c.Files); diff != "" {
		t.Error(diff)
	}
	if c.Path != filepath.Join(s.api.Dir, c.ID) || !there(filepath.Join(c.Path, "store", "FORMAT")) {
		t.Errorf("the checkpoint is not at %s", c.Path)
	}
	url := "/-/checkpoints/" + c.ID
	for _, test := range []struct {
		method, url string
		headers     []string
		status      int
		body        string
	}{
		{"GET", url + "/store/volumes/0.vol", nil, 200, "0123456789"},
		{"GET", url + "/store/volumes/0.vol", []string{"Range", "bytes=7-"}, 206, "789"},
		{"HEAD", url + "/store/volumes/0.vol", nil, 200, ""},
		{"GET", url + "/store/volumes", nil, 404, "The checkpoint has no such file\n"},
		{"GET", url + "/../../root-credentials.json", nil, 404, "The checkpoint has no such file\n"},
		{"GET", "/-/checkpoints/none/store/FORMAT", nil, 404, "There is no such checkpoint, or not any more\n"},
		{"DELETE", url, nil, 204, ""},
		{"DELETE", url, nil, 404, "There is no such checkpoint, or not any more\n"},
		{"GET", url + "/store/FORMAT", nil, 404, "There is no such checkpoint, or not any more\n"},
	} {
		w := s.do(test.method, test.url, test.headers...)
		if w.Code != test.status || w.Body.String() != test.body {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.url, w.Code, w.Body, test.status, test.body)
		}
	}
	if there(c.Path) {
		t.Error("the checkpoint's directory is left")
	}
}

func TestCredentials(t *testing.T) {
	s := newServer(t)
	c := s.create("?credentials=true")
	if diff := cmp.Diff(File{credentialName, 12}, c.Files[0]); diff != "" {
		t.Error(diff)
	}
	if got := s.do("GET", "/-/checkpoints/"+c.ID+"/"+credentialName).Body.String(); got != "the key pair" {
		t.Errorf("it is %q", got)
	}
	s.api.Credentials = ""
	w := s.do("POST", "/-/checkpoints?credentials=true")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "Credentials: the root key pair is set by") {
		t.Errorf("without a file: %d %s", w.Code, w.Body)
	}
}

// TestOnlyRoot: nobody else makes, reads or removes one, nor does a signature that
// nothing has held against a body.
func TestOnlyRoot(t *testing.T) {
	s := newServer(t)
	c := s.create("")
	signature := "AWS4-HMAC-SHA256 Credential=AKIDROOT/" + time.Now().UTC().Format("20060102") + "/us-east-1/mediastore/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)
	for name, test := range map[string]struct {
		header string
		body   string
		status int
	}{
		"nobody":        {"", "", 401},
		"wrong secret":  {"Basic QUtJRFJPT1Q6d3Jvbmc=", "", 403},
		"wrong key":     {"Basic QUtJRE9USEVSOnNlY3JldA==", "", 403},
		"bad signature": {signature, "", 403},
		"and a body":    {signature, "x", 400},
	} {
		for _, request := range [][2]string{{"POST", ""}, {"GET", "/" + c.ID + "/store/FORMAT"}, {"DELETE", "/" + c.ID}} {
			r := httptest.NewRequest(request[0], "/-/checkpoints"+request[1], strings.NewReader(test.body))
			r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
			if test.header != "" {
				r.Header.Set("Authorization", test.header)
			}
			w := httptest.NewRecorder()
			s.handle.ServeHTTP(w, r)
			if w.Code != test.status || strings.Contains(w.Body.String(), "format") {
				t.Errorf("%s: %s is answered %d %s, want %d", name, request[0], w.Code, w.Body, test.status)
			}
		}
	}
	if !there(c.Path) {
		t.Error("the checkpoint is gone")
	}
}

func TestMethods(t *testing.T) {
	s := newServer(t)
	for _, request := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"PUT", "/x"}, {"GET", "/x"}, {"POST", "/x"}, {"DELETE", "/x/y"}} {
		if w := s.do(request[0], "/-/checkpoints"+request[1]); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
			t.Errorf("%s %s: %d", request[0], request[1], w.Code)
		}
	}
}

func TestTooManyCheckpoints(t *testing.T) {
	s := newServer(t)
	first := s.create("")
	s.create("")
	if w := s.do("POST", "/-/checkpoints"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("a third: %d %s", w.Code, w.Body)
	}
	s.do("DELETE", "/-/checkpoints/"+first.ID)
	s.create("")
}

func TestCheckpointFails(t *testing.T) {
	s := newServer(t)
	s.fail = &mediastore.Error{Kind: mediastore.KindStorageFull, Message: "There is no room left in the store"}
	for range maxCheckpoints + 1 { // a failed one takes no place
		if w := s.do("POST", "/-/checkpoints"); w.Code != http.StatusInsufficientStorage || w.Body.String() != "There is no room left in the store\n" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	left, err := os.ReadDir(s.api.Dir)
	if len(left) > 0 || err != nil {
		t.Errorf("left are %v, %v", left, err)
	}
}

// TestIdleCheckpointsGo: a checkpoint lasts while it is used, and goes when nobody
// has used it for long, and with the server.
func TestIdleCheckpointsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.api.Run(ctx); close(ended) }()
		used, forgotten := s.create(""), s.create("")
		held, err := s.api.use(used.ID)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(idleTime + 2*lookInterval)
		synctest.Wait()
		if !there(used.Path) || there(forgotten.Path) {
			t.Errorf("there is the used one: %t, the forgotten one: %t", there(used.Path), there(forgotten.Path))
		}
		s.api.unuse(held)
		time.Sleep(idleTime - 2*lookInterval)
		synctest.Wait()
		if !there(used.Path) {
			t.Error("it went too early")
		}
		stop()
		<-ended
		if there(s.api.Dir) {
			t.Error("checkpoints outlive the server")
		}
	})
}

// TestFileIsReadOn: a file that is being sent is sent to its end, although the
// checkpoint is removed.
func TestFileIsReadOn(t *testing.T) {
	s := newServer(t)
	c := s.create("")
	front := httptest.NewServer(s.handle)
	defer front.Close()
	big := filepath.Join(c.Path, "store", "volumes", "0.vol")
	write(t, big, strings.Repeat("x", 64<<20))
	r, _ := http.NewRequest(http.MethodGet, front.URL+"/-/checkpoints/"+c.ID+"/store/volumes/0.vol", nil)
	r.SetBasicAuth("AKIDROOT", "secret")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if w := s.do("DELETE", "/-/checkpoints/"+c.ID); w.Code != http.StatusNoContent || there(c.Path) {
		t.Errorf("DELETE: %d", w.Code)
	}
	if n, err := io.Copy(io.Discard, answer.Body); n != 64<<20 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
