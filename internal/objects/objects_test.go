package objects_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"headwater/internal/engine"
	"headwater/internal/engine/memory"
	"headwater/internal/mediastore"
	"headwater/internal/objects"
)

const id = mediastore.ContainerID("abcdefghijklmn")

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// service is a service over the memory engine with one container and small
// quotas.
func service(t *testing.T) *objects.Service {
	t.Helper()
	e := memory.New()
	t.Cleanup(func() { e.Close() })
	err := e.CreateContainer(t.Context(), mediastore.Container{Name: "movies", ID: id, Status: mediastore.StatusActive}, 0)
	if err != nil {
		t.Fatal(err)
	}
	quotas := objects.Quotas{Path: mediastore.DefaultPathLimits, ObjectSize: 1000, StreamingSize: 500, Uploads: 4}
	return objects.New(objects.Config{Engine: e, Quotas: quotas, Now: func() time.Time { return epoch }, Random: rand.Reader})
}

func put(s *objects.Service, path, body string, change ...func(*objects.PutRequest)) (mediastore.Object, error) {
	req := objects.PutRequest{Container: id, Path: mediastore.Path(path), Body: strings.NewReader(body), Size: int64(len(body))}
	for _, c := range change {
		c(&req)
	}
	return s.Put(context.Background(), req)
}

func streaming(req *objects.PutRequest) { req.Streaming = true }

func wantKind(t *testing.T, what string, err error, kind mediastore.Kind) {
	t.Helper()
	if !mediastore.IsKind(err, kind) {
		t.Errorf("%s: got %v, want kind %q", what, err, kind)
	}
}

// read returns what a reader of path gets now, to the end.
func read(t *testing.T, s *objects.Service, path string) string {
	t.Helper()
	v, err := s.Open(t.Context(), id, mediastore.Path(path))
	if err != nil {
		t.Fatalf("Open(%s): %v", path, err)
	}
	defer v.Close()
	b, err := io.ReadAll(io.NewSectionReader(v, 0, v.Object.Size))
	if err != nil || v.InFlight() {
		t.Fatalf("read %s: in flight %v, %v", path, v.InFlight(), err)
	}
	return string(b)
}

func TestPut(t *testing.T) {
	s := service(t)
	obj, err := put(s, "a/b.ts", "hello")
	if err != nil {
		t.Fatal(err)
	}
	if obj.Size != 5 || obj.SHA256 != sha256.Sum256([]byte("hello")) || obj.ContentType != "video/mp2t" || obj.LastModified != epoch || len(obj.ETag) != 32 {
		t.Errorf("Put = %+v", obj)
	}
	if got := read(t, s, "a/b.ts"); got != "hello" {
		t.Errorf("read %q", got)
	}
	again, err := put(s, "a/b.ts", "hello")
	if err != nil || again.ETag == obj.ETag {
		t.Errorf("two versions share the ETag %s (%v)", again.ETag, err)
	}
}

func TestPutRefuses(t *testing.T) {
	sum := md5.Sum([]byte("other"))
	sha := sha256.Sum256([]byte("other"))
	for _, test := range []struct {
		name   string
		body   string
		change func(*objects.PutRequest)
		want   mediastore.Kind
	}{
		{"declared too large", strings.Repeat("x", 1001), func(*objects.PutRequest) {}, mediastore.KindTooLarge},
		{"turns out too large", strings.Repeat("x", 1001), func(r *objects.PutRequest) { r.Size = -1 }, mediastore.KindTooLarge},
		{"too large for STREAMING", strings.Repeat("x", 501), streaming, mediastore.KindTooLarge},
		{"shorter than declared", "12345", func(r *objects.PutRequest) { r.Size = 6 }, mediastore.KindIncompleteBody},
		{"longer than declared", "12345", func(r *objects.PutRequest) { r.Size = 4 }, mediastore.KindIncompleteBody},
		{"another MD5", "body", func(r *objects.PutRequest) { r.MD5 = sum[:] }, mediastore.KindBadDigest},
		{"another SHA-256", "body", func(r *objects.PutRequest) { r.SHA256 = sha[:] }, mediastore.KindBadDigest},
		{"signature over another body", "body", func(r *objects.PutRequest) {
			r.VerifyBody = func([32]byte) error { return mediastore.Errorf(mediastore.KindInvalidSignature, "no") }
		}, mediastore.KindInvalidSignature},
		{"body breaks off", "", func(r *objects.PutRequest) {
			r.Size, r.Body = -1, io.MultiReader(strings.NewReader("some"), failing{io.ErrUnexpectedEOF})
		}, mediastore.KindIncompleteBody},
		{"body too slow", "", func(r *objects.PutRequest) {
			r.Size, r.Body = -1, failing{mediastore.Errorf(mediastore.KindTimeout, "slow")}
		}, mediastore.KindTimeout},
		{"create only", "body", func(r *objects.PutRequest) { r.Precondition.NoneMatchAny = true }, mediastore.KindPreconditionFailed},
		{"no such container", "body", func(r *objects.PutRequest) { r.Container = "nononononononn" }, mediastore.KindContainerNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := service(t)
			if _, err := put(s, "a", "before"); err != nil {
				t.Fatal(err)
			}
			_, err := put(s, "a", test.body, test.change)
			wantKind(t, "Put", err, test.want)
			if got := read(t, s, "a"); got != "before" {
				t.Errorf("a refused put left %q", got)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestPutAtTheLimits(t *testing.T) {
	s := service(t)
	if _, err := put(s, "a", strings.Repeat("x", 1000)); err != nil {
		t.Error(err)
	}
	if _, err := put(s, "b", strings.Repeat("x", 500), streaming); err != nil {
		t.Error(err)
	}
	sum := md5.Sum([]byte("body"))
	sha := sha256.Sum256([]byte("body"))
	if _, err := put(s, "c", "body", func(r *objects.PutRequest) { r.MD5, r.SHA256 = sum[:], sha[:] }); err != nil {
		t.Error(err)
	}
}

// upload is a put whose body the test writes chunk by chunk.
type upload struct {
	*io.PipeWriter
	result chan error
}

func begin(s *objects.Service, path string, change ...func(*objects.PutRequest)) *upload {
	r, w := io.Pipe()
	u := &upload{w, make(chan error, 1)}
	go func() {
		_, err := put(s, path, "", append([]func(*objects.PutRequest){streaming, func(req *objects.PutRequest) { req.Body, req.Size = r, -1 }}, change...)...)
		u.result <- err
	}()
	return u
}

// send returns when the service has taken the chunk: a pipe's Write returns when
// its bytes were read, the next read comes after they were appended, and an
// empty write waits for that read.
func (u *upload) send(t *testing.T, chunk string) {
	t.Helper()
	if _, err := io.WriteString(u, chunk); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(nil); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, s *objects.Service, path string) *objects.Version {
	t.Helper()
	v, err := s.Open(t.Context(), id, mediastore.Path(path))
	if err != nil {
		t.Fatalf("Open(%s): %v", path, err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// wantNext waits for the bytes after off and holds them against want.
func wantNext(t *testing.T, v *objects.Version, off int64, want string) int64 {
	t.Helper()
	n, err := v.Wait(t.Context(), off)
	if err != nil {
		t.Fatalf("Wait(%d): %v", off, err)
	}
	b := make([]byte, n-off)
	if _, err := v.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) || string(b) != want {
		t.Fatalf("after %d bytes: %q, %v; want %q", off, b, err, want)
	}
	return n
}

func TestFollow(t *testing.T) {
	s := service(t)
	if _, err := put(s, "live", "previous"); err != nil {
		t.Fatal(err)
	}
	u := begin(s, "live")
	u.send(t, "one")
	early := open(t, s, "live")
	if !early.InFlight() || len(early.Object.ETag) != 32 {
		t.Fatalf("Open while uploading: in flight %v, ETag %q", early.InFlight(), early.Object.ETag)
	}
	off := wantNext(t, early, 0, "one")
	u.send(t, "two")
	off = wantNext(t, early, off, "two")
	late := open(t, s, "live")
	wantNext(t, late, 0, "onetwo")
	if obj, inFlight, err := s.Describe(t.Context(), id, "live"); err != nil || !inFlight || obj.ETag != early.Object.ETag {
		t.Errorf("Describe while uploading = %+v, %v, %v", obj, inFlight, err)
	}
	items, _, err := s.List(t.Context(), id, "", engine.Position{}, 10)
	if err != nil || len(items) != 1 || items[0].Object.Size != int64(len("previous")) {
		t.Errorf("List while uploading = %+v, %v", items, err)
	}
	u.Close()
	if err := <-u.result; err != nil {
		t.Fatal(err)
	}
	for _, v := range []*objects.Version{early, late} {
		if _, err := v.Wait(t.Context(), off); !errors.Is(err, io.EOF) {
			t.Errorf("Wait at the end: %v, want io.EOF", err)
		}
	}
	if got := read(t, s, "live"); got != "onetwo" {
		t.Errorf("after the upload: %q", got)
	}
	if obj, _, _ := s.Describe(t.Context(), id, "live"); obj.ETag != early.Object.ETag {
		t.Errorf("the ETag changed from %s to %s at the end of the upload", early.Object.ETag, obj.ETag)
	}
}

func TestAbortResetsFollowersAndKeepsThePrevious(t *testing.T) {
	s := service(t)
	if _, err := put(s, "live", "previous"); err != nil {
		t.Fatal(err)
	}
	u := begin(s, "live")
	u.send(t, "one")
	v := open(t, s, "live")
	off := wantNext(t, v, 0, "one")
	waiting := make(chan error, 1)
	go func() {
		_, err := v.Wait(context.Background(), off)
		waiting <- err
	}()
	u.CloseWithError(errors.New("the cable was pulled"))
	wantKind(t, "the put", <-u.result, mediastore.KindIncompleteBody)
	wantKind(t, "the follower", <-waiting, mediastore.KindUnavailable)
	if got := read(t, s, "live"); got != "previous" {
		t.Errorf("after the abort: %q", got)
	}
}

func TestInvisibleUploads(t *testing.T) {
	for name, change := range map[string]func(*objects.PutRequest){
		"STANDARD":   func(r *objects.PutRequest) { r.Streaming = false },
		"unverified": func(r *objects.PutRequest) { r.Unverified = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := service(t)
			u := begin(s, "live", change)
			u.send(t, "one")
			_, err := s.Open(t.Context(), id, "live")
			wantKind(t, "Open", err, mediastore.KindObjectNotFound)
			u.Close()
			if err := <-u.result; err != nil {
				t.Fatal(err)
			}
			if got := read(t, s, "live"); got != "one" {
				t.Errorf("after the upload: %q", got)
			}
		})
	}
}

func TestStreamingIsInvisibleBeforeItsFirstByte(t *testing.T) {
	s := service(t)
	u := begin(s, "live")
	if _, err := u.Write(nil); err != nil { // the service reads
		t.Fatal(err)
	}
	_, err := s.Open(t.Context(), id, "live")
	wantKind(t, "Open", err, mediastore.KindObjectNotFound)
	u.Close()
	if err := <-u.result; err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "live"); got != "" {
		t.Errorf("after the upload: %q", got)
	}
}

// TestNewestUploadIsRead: of several uploads at one path readers get the one that
// became visible last, and after a commit nothing that is older than it.
func TestNewestUploadIsRead(t *testing.T) {
	s := service(t)
	first, second := begin(s, "live"), (*upload)(nil)
	first.send(t, "first")
	second = begin(s, "live")
	second.send(t, "second")
	wantNext(t, open(t, s, "live"), 0, "second")
	second.CloseWithError(errors.New("aborted"))
	<-second.result
	wantNext(t, open(t, s, "live"), 0, "first")

	if _, err := put(s, "live", "standard"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "live"); got != "standard" {
		t.Errorf("after a STANDARD put was acknowledged: %q", got)
	}
	first.Close()
	if err := <-first.result; err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "live"); got != "first" {
		t.Errorf("after the older upload was stored: %q", got)
	}
}

func TestUploadsAreBounded(t *testing.T) {
	s := service(t)
	var uploads []*upload
	for range s.Quotas().Uploads {
		u := begin(s, "live")
		u.send(t, "x")
		uploads = append(uploads, u)
	}
	_, err := put(s, "other", "x")
	wantKind(t, "one too many", err, mediastore.KindUnavailable)
	for _, u := range uploads {
		u.Close()
		<-u.result
	}
	if _, err := put(s, "other", "x"); err != nil {
		t.Errorf("after the others ended: %v", err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	s := service(t)
	u := begin(s, "live")
	u.send(t, "one")
	v := open(t, s, "live")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Wait(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v", err)
	}
	u.Close()
	<-u.result
}

// TestManyFollowers: every follower gets every byte, whenever it comes.
func TestManyFollowers(t *testing.T) {
	s := service(t)
	u := begin(s, "live")
	u.send(t, "0")
	results := make(chan string)
	want := strings.Repeat("0", 1)
	follow := func(v *objects.Version) {
		defer v.Close()
		var got bytes.Buffer
		for {
			n, err := v.Wait(context.Background(), int64(got.Len()))
			if err != nil {
				results <- got.String()
				return
			}
			b := make([]byte, n-int64(got.Len()))
			_, _ = v.ReadAt(b, int64(got.Len()))
			got.Write(b)
		}
	}
	for i := range 20 {
		v, err := s.Open(t.Context(), id, "live")
		if err != nil {
			t.Fatal(err)
		}
		go follow(v)
		chunk := strings.Repeat(string(rune('a'+i)), i)
		want += chunk
		u.send(t, chunk)
	}
	u.Close()
	for range 20 {
		if got := <-results; got != want {
			t.Errorf("a follower got %q, want %q", got, want)
		}
	}
	if err := <-u.result; err != nil {
		t.Fatal(err)
	}
}

func TestConditions(t *testing.T) {
	obj := mediastore.Object{ETag: "aa", LastModified: epoch.Add(300 * time.Millisecond)}
	before, after := epoch.Add(-time.Second), epoch.Add(time.Second)
	const ok = mediastore.Kind(255)
	for _, test := range []struct {
		name string
		cond objects.Conditions
		want mediastore.Kind
	}{
		{"none", objects.Conditions{}, ok},
		{"If-Match its ETag", objects.Conditions{Precondition: mediastore.Precondition{Match: []mediastore.ETag{"aa"}}}, ok},
		{"If-Match another", objects.Conditions{Precondition: mediastore.Precondition{Match: []mediastore.ETag{"bb"}}}, mediastore.KindPreconditionFailed},
		{"If-None-Match its ETag", objects.Conditions{Precondition: mediastore.Precondition{NoneMatch: []mediastore.ETag{"aa"}}}, mediastore.KindNotModified},
		{"If-None-Match another", objects.Conditions{Precondition: mediastore.Precondition{NoneMatch: []mediastore.ETag{"bb"}}}, ok},
		{"If-None-Match another wins over a date", objects.Conditions{Precondition: mediastore.Precondition{NoneMatch: []mediastore.ETag{"bb"}}, ModifiedSince: after}, ok},
		{"If-None-Match *", objects.Conditions{Precondition: mediastore.Precondition{NoneMatchAny: true}}, mediastore.KindNotModified},
		{"modified since before", objects.Conditions{ModifiedSince: before}, ok},
		{"modified since the same second", objects.Conditions{ModifiedSince: epoch}, mediastore.KindNotModified},
		{"unmodified since the same second", objects.Conditions{UnmodifiedSince: epoch}, ok},
		{"unmodified since before", objects.Conditions{UnmodifiedSince: before}, mediastore.KindPreconditionFailed},
		{"If-Match wins over a date", objects.Conditions{Precondition: mediastore.Precondition{MatchAny: true}, UnmodifiedSince: before}, ok},
	} {
		err := test.cond.Check(&obj)
		if test.want == ok && err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if test.want != ok {
			wantKind(t, test.name, err, test.want)
		}
	}
}
