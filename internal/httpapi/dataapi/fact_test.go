package dataapi_test

import (
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headwater/internal/access"
	"headwater/internal/containers"
	"headwater/internal/engine/memory"
	"headwater/internal/event"
	"headwater/internal/httpapi"
	"headwater/internal/httpapi/dataapi"
	"headwater/internal/mediastore"
	"headwater/internal/objects"
)

const (
	account = mediastore.AccountID("111122223333")
	id      = mediastore.ContainerID("abcdefghijklmn")
	root    = "arn:aws:iam::111122223333:root"
)

// edge is the edge over the real services and the memory engine, behind a real
// connection.
type edge struct {
	t          *testing.T
	url        string
	containers *containers.Service
	facts      chan event.Request
}

func serve(t *testing.T) *edge {
	t.Helper()
	e := memory.New()
	t.Cleanup(func() { e.Close() })
	s := &edge{t: t, facts: make(chan event.Request, 100)}
	s.containers = containers.New(containers.Config{Engine: e, Region: "us-west-2", Now: time.Now, Log: slog.New(slog.DiscardHandler), Quotas: containers.Quotas{MetricRules: 5}})
	err := e.CreateContainer(t.Context(), mediastore.Container{Account: account, Region: "us-west-2", Name: "live", ID: id, Status: mediastore.StatusActive}, 0)
	if err != nil {
		t.Fatal(err)
	}
	api := &dataapi.API{
		Access:     access.New(access.Config{Account: account, Region: "us-west-2", Root: access.Key{ID: "AKIDROOT", Secret: "secret"}, Now: time.Now}),
		Containers: s.containers,
		Objects: objects.New(objects.Config{
			Engine: e, Now: time.Now, Random: rand.Reader,
			Quotas: objects.Quotas{Path: mediastore.DefaultPathLimits, ObjectSize: 1 << 20, StreamingSize: 1 << 20, Uploads: 10},
		}),
		Now:      time.Now,
		Answered: func(r *event.Request) { s.facts <- *r },
	}
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now, Proxies: httpapi.TrustedProxies{}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		adapter.Wrap("data", api.Handle(id, r.URL.Path), dataapi.WriteError).ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.url = front.URL
	return s
}

func (s *edge) document(d containers.Document, text string) {
	s.t.Helper()
	if err := s.containers.PutDocument(s.t.Context(), account, "live", d, text); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends a request and returns its answer and what was told of it.
func (s *edge) ask(method, target, body string, headers ...string) (*http.Response, event.Request) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth("AKIDROOT", "secret")
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Del("Authorization"); headers[i] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	fact := <-s.facts
	if fact.ID != res.Header.Get("x-amzn-RequestId") || fact.Status != res.StatusCode || fact.BytesSent != n {
		s.t.Errorf("%s %s: told %s, %d, %d bytes; the client got %s, %d, %d bytes", method, target,
			fact.ID, fact.Status, fact.BytesSent, res.Header.Get("x-amzn-RequestId"), res.StatusCode, n)
	}
	return res, fact
}

const tenSeconds = `{"rules":[{"definition":{"path":[{"wildcard":"*.ts"}],"seconds_since_create":[{"numeric":[">=",10]}]},"action":"EXPIRE"}]}`

func TestFacts(t *testing.T) {
	s := serve(t)
	s.document(containers.LifecyclePolicy, tenSeconds)
	s.document(containers.MetricPolicy, `{"ContainerLevelMetrics":"ENABLED"}`)
	if err := s.containers.SetAccessLogging(t.Context(), account, "live", true); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, target, body string
		headers              []string
		want                 event.Request
		expires              bool
	}{
		{"PUT", "/a/b.ts", "12345", nil, event.Request{Operation: event.PutObject, Path: "a/b.ts", Requester: root, Status: 200, BytesReceived: 5}, true},
		{"POST", "/a/c", "1234567", nil, event.Request{Operation: event.PutObject, Path: "a/c", Requester: root, Status: 200, BytesReceived: 7}, false},
		{"GET", "/a/b.ts", "", nil, event.Request{Operation: event.GetObject, Path: "a/b.ts", Requester: root, Status: 200, BytesSent: 5}, true},
		{"GET", "/a/b.ts", "", []string{"", ""}, event.Request{Operation: event.GetObject, Path: "a/b.ts", Requester: "anonymous", Status: 403, ErrorCode: "AccessDeniedException"}, false},
		{"GET", "/nosuch", "", nil, event.Request{Operation: event.GetObject, Path: "nosuch", Requester: root, Status: 404, ErrorCode: "ObjectNotFoundException"}, false},
		{"HEAD", "/a/b.ts", "", nil, event.Request{Operation: event.DescribeObject, Path: "a/b.ts", Requester: root, Status: 200}, true},
		{"HEAD", "/nosuch", "", nil, event.Request{Operation: event.DescribeObject, Path: "nosuch", Requester: root, Status: 404, ErrorCode: "ObjectNotFoundException"}, false},
		{"GET", "/?Path=%2Fa", "", nil, event.Request{Operation: event.ListItems, Path: "a", Requester: root, Status: 200}, false},
		{"GET", "/?Path=..", "", nil, event.Request{Operation: event.ListItems, Requester: "anonymous", Status: 400, ErrorCode: "ValidationException"}, false},
		{"DELETE", "/a/b.ts", "", nil, event.Request{Operation: event.DeleteObject, Path: "a/b.ts", Requester: root, Status: 200}, true},
		{"PATCH", "/a", "", nil, event.Request{Path: "a", Requester: "anonymous", Status: 405, ErrorCode: "MethodNotAllowedException"}, false},
		{"PUT", "/a//b", "12345", nil, event.Request{Operation: event.PutObject, Path: "a//b", Requester: "anonymous", Status: 400, ErrorCode: "ValidationException"}, false},
	} {
		_, got := s.ask(test.method, test.target, test.body, test.headers...)
		name := test.method + " " + test.target
		test.want.Method, test.want.Account, test.want.Container, test.want.ContainerID, test.want.Logged = test.method, account, "live", id, true
		ignored := cmpopts.IgnoreFields(event.Request{}, "ID", "Metrics", "Source", "ExpiresAt", "Received", "BodyRead", "FirstByte", "LastByte")
		if test.want.Status != 200 || test.want.Operation == event.PutObject || test.want.Operation == event.ListItems {
			ignored = cmp.Options{ignored, cmpopts.IgnoreFields(event.Request{}, "BytesSent")} // ask has held it against the answer
		}
		if diff := cmp.Diff(test.want, got, ignored); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.Metrics == nil || !got.Source.IsLoopback() || got.ExpiresAt.IsZero() == test.expires {
			t.Errorf("%s: metrics %v, source %v, expires %v", name, got.Metrics, got.Source, got.ExpiresAt)
		}
		if got.Received.IsZero() || got.BodyRead.Before(got.Received) || got.FirstByte.Before(got.BodyRead) || got.LastByte.Before(got.FirstByte) {
			t.Errorf("%s: received %v, read %v, first byte %v, last byte %v", name, got.Received, got.BodyRead, got.FirstByte, got.LastByte)
		}
	}
}

// TestBrokenAnswerIsTold: the code stands beside the status that had been sent.
func TestBrokenAnswerIsTold(t *testing.T) {
	s := serve(t)
	body, upload := io.Pipe()
	r, err := http.NewRequest(http.MethodPut, s.url+"/live.ts", body)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("AKIDROOT", "secret")
	r.Header.Set("x-amz-upload-availability", "STREAMING")
	put := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(r)
		put <- err
	}()
	if _, err := io.WriteString(upload, "some bytes"); err != nil {
		t.Fatal(err)
	}
	follower := s.follow()
	upload.CloseWithError(io.ErrUnexpectedEOF) // which breaks the connection off
	<-put
	told := map[event.Operation]event.Request{}
	for range 2 {
		f := <-s.facts
		told[f.Operation] = f
	}
	if f := told[event.GetObject]; f.Status != 200 || f.ErrorCode != "ServiceUnavailableException" || f.BytesSent != 10 {
		t.Errorf("of the follower: %+v", f)
	}
	if f := told[event.PutObject]; f.ErrorCode != "IncompleteBodyException" || f.BytesReceived != 10 {
		t.Errorf("of the uploader: %+v", f)
	}
	follower.Close()
}

// TestClientThatLeaves is not the server's fault.
func TestClientThatLeaves(t *testing.T) {
	s := serve(t)
	body, upload := io.Pipe()
	defer upload.Close()
	r, err := http.NewRequest(http.MethodPut, s.url+"/live.ts", body)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("AKIDROOT", "secret")
	r.Header.Set("x-amz-upload-availability", "STREAMING")
	go func() { _, _ = http.DefaultClient.Do(r) }()
	if _, err := io.WriteString(upload, "some bytes"); err != nil {
		t.Fatal(err)
	}
	follower := s.follow()
	follower.Close()
	f := <-s.facts
	if f.Operation != event.GetObject || f.Status != 200 || f.ErrorCode != "ClientDisconnected" {
		t.Errorf("told %+v", f)
	}
}

// follow reads the first bytes of the upload under way.
func (s *edge) follow() net.Conn {
	s.t.Helper()
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			s.t.Fatal(err)
		}
		r, err := http.NewRequest(http.MethodGet, s.url+"/live.ts", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		r.SetBasicAuth("AKIDROOT", "secret")
		if err := r.Write(conn); err != nil {
			s.t.Fatal(err)
		}
		b := make([]byte, 4096)
		n, _ := conn.Read(b)
		if strings.HasPrefix(string(b[:n]), "HTTP/1.1 200") {
			return conn
		}
		conn.Close() // the upload is not visible yet
		<-s.facts
	}
}

// TestPolicyHoldsForLaterObjectsOnly, and for those whose upload had begun.
func TestPolicyHoldsForLaterObjectsOnly(t *testing.T) {
	s := serve(t)
	s.ask(http.MethodPut, "/before.ts", "x")
	s.document(containers.LifecyclePolicy, tenSeconds)
	s.ask(http.MethodPut, "/after.ts", "x")
	if err := s.containers.DeleteDocument(t.Context(), account, "live", containers.LifecyclePolicy); err != nil {
		t.Fatal(err)
	}
	s.ask(http.MethodPut, "/later.ts", "x")
	for target, expires := range map[string]bool{"/before.ts": false, "/after.ts": true, "/later.ts": false} {
		if _, f := s.ask(http.MethodGet, target, ""); f.ExpiresAt.IsZero() == expires {
			t.Errorf("%s expires at %v", target, f.ExpiresAt)
		}
	}
}
