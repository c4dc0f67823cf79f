package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

func testPutGet(t *testing.T, s *suite) {
	id := s.active("movies")
	for i, size := range sizes {
		path, body := fmt.Sprintf("folder/size-%d", size), pattern(uint64(i), size)
		s.put(id, path, body, fmt.Sprintf("e%d", i))
		want := meta(fmt.Sprintf("e%d", i))
		want.Path, want.Size = mediastore.Path(path), int64(size)
		got, err := s.StatObject(s.ctx, id, mediastore.Path(path))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("StatObject: %v (-want +got):\n%s", err, diff)
		}
		r := s.open(id, path)
		if diff := cmp.Diff(want, r.Object()); diff != "" {
			t.Errorf("Reader.Object (-want +got):\n%s", diff)
		}
		s.wantBody(id, path, body)
		readAtEverywhere(t, r, body)
	}
}

// readAtEverywhere reads spans around every edge of the body.
func readAtEverywhere(t *testing.T, r engine.Reader, body []byte) {
	t.Helper()
	n := len(body)
	for _, from := range []int{0, 1, n / 2, n - 1, n, n + 5} {
		for _, length := range []int{1, 7, n / 2, n + 3} {
			if from < 0 || length <= 0 {
				continue
			}
			want := body[min(from, n):min(from+length, n)]
			p := make([]byte, length)
			got, err := r.ReadAt(p, int64(from))
			if !bytes.Equal(p[:got], want) || !mustEOF(err) || (got < length) != (err != nil) {
				t.Fatalf("ReadAt(%d bytes, %d) of a body of %d = %d, %v", length, from, n, got, err)
			}
		}
	}
}

func testPutUnknownSize(t *testing.T, s *suite) {
	id := s.active("movies")
	for i, size := range sizes {
		path, body := fmt.Sprintf("size-%d", size), pattern(uint64(i), size)
		u := s.begin(id, path, -1)
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 1+size/7)
			s.write(u, rest[:n])
			rest = rest[n:]
		}
		if err := u.Commit(s.ctx, meta("1"), mediastore.Precondition{}); err != nil {
			t.Fatalf("Commit of %d bytes: %v", size, err)
		}
		u.Close()
		s.wantBody(id, path, body)
	}
}

func testReplace(t *testing.T, s *suite) {
	id := s.active("movies")
	for i, size := range append(sizes, 5, 500_000, 0) {
		body := pattern(uint64(i), size)
		s.put(id, "live/index.m3u8", body, fmt.Sprint(i))
		s.wantBody(id, "live/index.m3u8", body)
	}
	s.wantItems(id, "live", "index.m3u8")
}

func testReaderKeepsItsVersion(t *testing.T, s *suite) {
	id := s.active("movies")
	for i, size := range []int{10, 200_000} {
		path, body := fmt.Sprint("object", i), pattern(1, size)
		s.put(id, path, body, "1")
		replaced := s.open(id, path)
		s.put(id, path, pattern(2, size+1), "2")
		deleted := s.open(id, path)
		if _, err := s.DeleteObject(s.ctx, id, mediastore.Path(path), mediastore.Precondition{}); err != nil {
			t.Fatal(err)
		}
		for range 20 { // give a reclaiming engine something to do
			s.put(id, "other", pattern(3, size), "3")
		}
		if !bytes.Equal(s.read(replaced), body) {
			t.Errorf("the reader of a replaced version of %d bytes lost it", size)
		}
		if !bytes.Equal(s.read(deleted), pattern(2, size+1)) {
			t.Errorf("the reader of a deleted version of %d bytes lost it", size)
		}
	}
}

func testUploadInvisible(t *testing.T, s *suite) {
	id := s.active("movies")
	s.put(id, "a", []byte("before"), "1")
	replacing, creating := s.begin(id, "a", 200_000), s.begin(id, "new/b", -1)
	s.write(replacing, pattern(1, 100_000))
	s.write(creating, pattern(1, 100_000))
	s.wantBody(id, "a", []byte("before"))
	s.wantItems(id, "", "a")
	_, err := s.StatObject(s.ctx, id, "new/b")
	s.wantKind("stat of an upload", err, mediastore.KindObjectNotFound)

	for _, u := range []engine.Upload{replacing, creating} {
		if err := u.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := u.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
	s.wantBody(id, "a", []byte("before"))
	s.wantItems(id, "", "a")
}

func testUploadReadable(t *testing.T, s *suite) {
	id := s.active("movies")
	for _, known := range []bool{true, false} {
		body := pattern(9, 400_000)
		size := int64(-1)
		if known {
			size = int64(len(body))
		}
		u := s.begin(id, "live", size)
		for at := 0; at < len(body); at += 25_000 {
			s.write(u, body[at:at+25_000])
			p := make([]byte, 50_000)
			n, err := u.ReadAt(p, int64(at))
			if n != 25_000 || !mustEOF(err) || err == nil || !bytes.Equal(p[:n], body[at:at+n]) {
				t.Fatalf("ReadAt(%d) after a write = %d, %v", at, n, err)
			}
		}
		together(8, func(i int) {
			p := make([]byte, len(body))
			if n, err := u.ReadAt(p, 0); n != len(p) || !mustEOF(err) || !bytes.Equal(p, body) {
				t.Errorf("concurrent ReadAt = %d, %v", n, err)
			}
		})
		u.Close()
	}
}

func testUploadAfterCommit(t *testing.T, s *suite) {
	id := s.active("movies")
	for _, size := range []int{100, 300_000} {
		body := pattern(4, size)
		u := s.begin(id, "live", -1)
		s.write(u, body)
		if err := u.Commit(s.ctx, meta("1"), mediastore.Precondition{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.DeleteObject(s.ctx, id, "live", mediastore.Precondition{}); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, size)
		if n, err := u.ReadAt(p, 0); n != size || !mustEOF(err) || !bytes.Equal(p, body) {
			t.Errorf("ReadAt after Commit of %d bytes = %d, %v", size, n, err)
		}
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}
}

func testPreconditions(t *testing.T, s *suite) {
	id := s.active("movies")
	s.put(id, "there", []byte("old"), "aa")
	const failed, ok = mediastore.KindPreconditionFailed, mediastore.Kind(255)
	for _, test := range []struct {
		name  string
		pre   mediastore.Precondition
		there mediastore.Kind
		none  mediastore.Kind
	}{
		{"nothing demanded", mediastore.Precondition{}, ok, ok},
		{"If-Match *", mediastore.Precondition{MatchAny: true}, ok, failed},
		{"If-Match its ETag", mediastore.Precondition{Match: []mediastore.ETag{"bb", "aa"}}, ok, failed},
		{"If-Match another", mediastore.Precondition{Match: []mediastore.ETag{"bb"}}, failed, failed},
		{"If-None-Match *", mediastore.Precondition{NoneMatchAny: true}, failed, ok},
		{"If-None-Match its ETag", mediastore.Precondition{NoneMatch: []mediastore.ETag{"aa"}}, failed, ok},
		{"If-None-Match another", mediastore.Precondition{NoneMatch: []mediastore.ETag{"bb"}}, ok, ok},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &suite{T: t, Engine: s.Engine, ctx: s.ctx}
			check := func(path string, want mediastore.Kind) {
				err := s.tryPut(id, path, []byte("new"), "aa", test.pre)
				if want == ok && err != nil {
					t.Errorf("put %s: %v", path, err)
				} else if want != ok {
					s.wantKind("put "+path, err, want)
				}
			}
			check("there", test.there)
			check("none", test.none)
			if test.none == ok {
				if _, err := s.DeleteObject(s.ctx, id, "none", mediastore.Precondition{}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	_, err := s.DeleteObject(s.ctx, id, "there", mediastore.Precondition{Match: []mediastore.ETag{"bb"}})
	s.wantKind("delete with another ETag", err, failed)
	if _, err := s.DeleteObject(s.ctx, id, "there", mediastore.Precondition{Match: []mediastore.ETag{"aa"}}); err != nil {
		t.Errorf("delete with its ETag: %v", err)
	}
}

func testCreateOnlyRace(t *testing.T, s *suite) {
	id := s.active("movies")
	for _, size := range []int{10, 100_000} {
		var won atomic.Int32
		path := fmt.Sprint("race", size)
		together(8, func(i int) {
			err := s.tryPut(id, path, pattern(uint64(i), size), "1", mediastore.Precondition{NoneMatchAny: true})
			if err == nil {
				won.Add(1)
			} else {
				s.wantKind("loser", err, mediastore.KindPreconditionFailed)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d of 8 create-only puts won", won.Load())
		}
	}
}

func testDelete(t *testing.T, s *suite) {
	id := s.active("movies")
	s.put(id, "a/b/c", []byte("1"), "1")
	s.put(id, "a/b", []byte("an object where there is a folder"), "2")
	gone, err := s.DeleteObject(s.ctx, id, "a/b/c", mediastore.Precondition{})
	if err != nil || gone.ETag != "1" || gone.Size != 1 {
		t.Errorf("DeleteObject = %+v, %v", gone, err)
	}
	s.wantItems(id, "a", "b")
	s.wantItems(id, "a/b")
	_, err = s.DeleteObject(s.ctx, id, "a/b/c", mediastore.Precondition{})
	s.wantKind("second delete", err, mediastore.KindObjectNotFound)
	_, err = s.DeleteObject(s.ctx, id, "a", mediastore.Precondition{})
	s.wantKind("delete of a folder", err, mediastore.KindObjectNotFound)
	if _, err := s.DeleteObject(s.ctx, id, "a/b", mediastore.Precondition{}); err != nil {
		t.Error(err)
	}
	s.wantItems(id, "")
	s.put(id, "a/b/c", []byte("again"), "3")
	s.wantItems(id, "", "a/")
	s.wantBody(id, "a/b/c", []byte("again"))
}

func testMissingThings(t *testing.T, s *suite) {
	id := s.active("movies")
	none := mediastore.ContainerID("nononononononn")
	_, err := s.OpenObject(s.ctx, id, "none")
	s.wantKind("open", err, mediastore.KindObjectNotFound)
	_, err = s.StatObject(s.ctx, id, "none")
	s.wantKind("stat", err, mediastore.KindObjectNotFound)
	_, err = s.OpenObject(s.ctx, none, "none")
	s.wantKind("open in no container", err, mediastore.KindContainerNotFound)
	_, err = s.StatObject(s.ctx, none, "none")
	s.wantKind("stat in no container", err, mediastore.KindContainerNotFound)
	_, err = s.DeleteObject(s.ctx, none, "none", mediastore.Precondition{})
	s.wantKind("delete in no container", err, mediastore.KindContainerNotFound)
	_, _, err = s.ListItems(s.ctx, none, "", engine.Position{}, 1)
	s.wantKind("list of no container", err, mediastore.KindContainerNotFound)
	s.wantKind("put into no container", s.tryPut(none, "a", nil, "1", mediastore.Precondition{}), mediastore.KindContainerNotFound)
	_, err = s.Container(s.ctx, account, "none")
	s.wantKind("container", err, mediastore.KindContainerNotFound)
}

// testNeverTorn overwrites a few paths from several writers while readers look:
// every body read must be one that was written, whole.
func testNeverTorn(t *testing.T, s *suite) {
	id := s.active("movies")
	body := func(writer, n int) []byte {
		size := 10 + n*977%5000
		if writer%2 == 0 {
			size += 100_000
		}
		return bytes.Repeat([]byte{byte(writer*16 + n%16)}, size)
	}
	s.put(id, "p0", body(0, 0), "0")
	s.put(id, "p1", body(0, 0), "0")
	together(8, func(i int) {
		for n := range 20 {
			path := fmt.Sprint("p", n%2)
			if i < 4 {
				s.put(id, path, body(i, n), fmt.Sprintf("%d.%d", i, n))
				continue
			}
			r := s.open(id, path)
			got := s.read(r)
			if len(got) == 0 || len(bytes.Trim(got, string(got[0]))) != 0 || len(got) != int(r.Object().Size) {
				t.Errorf("a reader saw a mixture of versions in %s", path)
			}
			r.Close()
		}
	})
}

func testCancelledContext(t *testing.T, s *suite) {
	id := s.active("movies")
	u := s.begin(id, "a", 1)
	s.write(u, []byte("1"))
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if err := u.Commit(ctx, meta("1"), mediastore.Precondition{}); err == nil {
		t.Error("Commit succeeded although its context was cancelled before")
	}
	_, err := s.StatObject(s.ctx, id, "a")
	s.wantKind("stat after a cancelled commit", err, mediastore.KindObjectNotFound)
}

func testClosedEngine(t *testing.T, s *suite) {
	id := s.active("movies")
	u := s.begin(id, "a", 1)
	if err := s.Engine.Close(); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(s.ctx, meta("1"), mediastore.Precondition{}); err == nil {
		t.Error("Commit succeeded on a closed engine")
	}
	if _, err := s.StatObject(s.ctx, id, "a"); err == nil || mediastore.IsKind(err, mediastore.KindObjectNotFound) {
		t.Errorf("StatObject on a closed engine: %v", err)
	}
	if err := s.CreateContainer(s.ctx, container("b"), 0); err == nil {
		t.Error("CreateContainer succeeded on a closed engine")
	}
	if _, _, err := s.ListItems(s.ctx, id, "", engine.Position{}, 1); err == nil {
		t.Error("ListItems succeeded on a closed engine")
	}
	if _, err := s.DueObjects(s.ctx, epoch, 1); err == nil {
		t.Error("DueObjects succeeded on a closed engine")
	}
	if err := s.WaitEvents(s.ctx, 1<<40); err == nil {
		t.Error("WaitEvents succeeded on a closed engine")
	}
	if err := s.SetMark(s.ctx, "a", []byte("1")); err == nil {
		t.Error("SetMark succeeded on a closed engine")
	}
}
