package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"headwater/internal/wiremodel"
)

// watcher stands between clients and the server, passes everything on as it is,
// and holds every answer of both planes against the wire model. Clients sign for
// its address, which the server gets in the Host header.
type watcher struct {
	t       *testing.T
	URL     string
	control *wiremodel.Model
	data    *wiremodel.Model

	mu struct {
		sync.Mutex
		seen map[string]int // "Operation 200" or "Operation Code": how often
	}
}

// watch puts a watcher before the server.
func watch(t *testing.T, s *server) *watcher {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{t: t, control: wiremodel.ControlPlane(), data: wiremodel.DataPlane()}
	w.mu.seen = map[string]int{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto"} { // ReverseProxy drops them
				if values := r.In.Header.Values(name); values != nil {
					r.Out.Header[name] = values
				}
			}
		},
		FlushInterval:  -1,
		ModifyResponse: w.inspect,
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	w.URL = front.URL
	return w
}

// commonErrors are the codes that every AWS service can answer, and those that
// docs/compatibility.md lists as Headwater's own. The models declare neither.
var commonErrors = map[string]bool{
	"ValidationException": true, "SerializationException": true, "UnknownOperationException": true,
	"AccessDeniedException": true, "UnrecognizedClientException": true, "InvalidSignatureException": true,
	"MissingAuthenticationTokenException": true, "IncompleteSignatureException": true,
	"ExpiredTokenException": true, "RequestExpired": true, "ThrottlingException": true,
	"PreconditionFailedException": true, "BadDigestException": true, "RequestEntityTooLargeException": true,
	"RequestTimeoutException": true, "IncompleteBodyException": true, "MethodNotAllowedException": true,
	"ServiceUnavailableException": true, "InsufficientStorageException": true,
}

// inspect reads an answer of a plane, when it has an end, and checks it.
func (w *watcher) inspect(res *http.Response) error {
	op := w.operation(res.Request)
	if op == nil || res.StatusCode == http.StatusNotModified {
		return nil
	}
	if res.StatusCode >= 300 || op.Name != "GetObject" {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		res.Body.Close()
		res.Body = io.NopCloser(bytes.NewReader(body))
		w.check(op, res, body)
		return nil
	}
	w.check(op, res, nil)
	return nil
}

func (w *watcher) check(op *wiremodel.Operation, res *http.Response, body []byte) {
	outcome := fmt.Sprint(res.StatusCode)
	var err error
	if res.StatusCode < 300 {
		err = op.CheckOutput(res.StatusCode, res.Header, body)
	} else {
		outcome = res.Header.Get("x-amzn-ErrorType")
		err = op.CheckError(res.StatusCode, res.Header, body, commonErrors)
	}
	if err != nil {
		w.t.Errorf("%s %s: %d %v\n%s: %v", res.Request.Method, res.Request.URL.Path, res.StatusCode, res.Header, body, err)
	}
	if res.Header.Get("x-amzn-RequestId") == "" {
		w.t.Errorf("%s %s has no x-amzn-RequestId", res.Request.Method, res.Request.URL.Path)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.seen[op.Name+" "+outcome]++
}

// operation tells which operation a request is, nil for none.
func (w *watcher) operation(r *http.Request) *wiremodel.Operation {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return w.control.Operation(strings.TrimPrefix(target, "MediaStore_20170901."))
	}
	if strings.HasPrefix(r.URL.Path, "/-/") {
		return nil
	}
	_, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodGet && object == "":
		return w.data.Operation("ListItems")
	case r.Method == http.MethodGet:
		return w.data.Operation("GetObject")
	case r.Method == http.MethodHead:
		return w.data.Operation("DescribeObject")
	case r.Method == http.MethodPut, r.Method == http.MethodPost:
		return w.data.Operation("PutObject")
	case r.Method == http.MethodDelete:
		return w.data.Operation("DeleteObject")
	}
	return nil
}

// wantSeen fails for each outcome ("PutObject 200", "GetObject
// ObjectNotFoundException") that no answer had.
func (w *watcher) wantSeen(outcomes ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, outcome := range outcomes {
		if w.mu.seen[outcome] == 0 {
			w.t.Errorf("no answer was %q; seen: %v", outcome, w.mu.seen)
		}
	}
}
