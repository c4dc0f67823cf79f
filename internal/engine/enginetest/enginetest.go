// Package enginetest is the conformance suite of the engine contract. An
// engine's own test calls Run with a function that makes an empty engine; what
// an engine does beyond the contract (crashes, files) it tests itself.
//
// The suite looks for what engines get differently: order, pages at every
// boundary, what a reader sees after a replace, who wins a race.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

const account = mediastore.AccountID("111122223333")

// epoch is when everything in the suite happens: engines have no clock.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// Run holds the engines that open makes against the contract. Each test gets a
// new one and closes it.
func Run(t *testing.T, open func(t *testing.T) engine.Engine) {
	tests := []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"ContainerLife", testContainerLife},
		{"ContainerNamesAreUnique", testContainerNamesAreUnique},
		{"ContainerLimit", testContainerLimit},
		{"ContainerPages", testContainerPages},
		{"ContainerUpdate", testContainerUpdate},
		{"ContainerUpdatesDoNotGetLost", testContainerUpdatesDoNotGetLost},
		{"DeleteContainerNeedsEmpty", testDeleteContainerNeedsEmpty},
		{"DeleteContainerAgainstPuts", testDeleteContainerAgainstPuts},
		{"PutGet", testPutGet},
		{"PutUnknownSize", testPutUnknownSize},
		{"Replace", testReplace},
		{"ReaderKeepsItsVersion", testReaderKeepsItsVersion},
		{"UploadIsInvisibleUntilCommitted", testUploadInvisible},
		{"UploadIsReadableWhileWritten", testUploadReadable},
		{"UploadSurvivesCommitUntilClose", testUploadAfterCommit},
		{"Preconditions", testPreconditions},
		{"CreateOnlyRace", testCreateOnlyRace},
		{"Delete", testDelete},
		{"MissingThings", testMissingThings},
		{"List", testList},
		{"ListPages", testListPages},
		{"ListAgainstModel", testListAgainstModel},
		{"ConcurrentReplaceIsNeverTorn", testNeverTorn},
		{"Transient", testTransient},
		{"TransientIsNotListed", testTransientIsNotListed},
		{"TransientAndLastingReplaceEachOther", testTransientAndLasting},
		{"ReplacedIsNeverMissed", testReplacedIsNeverMissed},
		{"ExpiredCountsAsNone", testExpiredCountsAsNone},
		{"TransientKeepsContainer", testTransientKeepsContainer},
		{"DueObjects", testDueObjects},
		{"DueObjectsFollowTheVersion", testDueObjectsFollow},
		{"DueObjectsAgainstModel", testDueObjectsAgainstModel},
		{"WalkObjects", testWalkObjects},
		{"WalkObjectsAgainstModel", testWalkAgainstModel},
		{"RemoveVersions", testRemoveVersions},
		{"RemoveVersionsIsAtomicAgainstPuts", testRemoveVersionsAgainstPuts},
		{"ArchiveVersion", testArchiveVersion},
		{"ArchivedLeavesItsNameBehind", testArchivedLeftovers},
		{"Leftovers", testLeftovers},
		{"ObjectEvents", testObjectEvents},
		{"ContainerEvents", testContainerEvents},
		{"EventsAreReadInPages", testEventPages},
		{"EventsOfConcurrentChanges", testConcurrentEvents},
		{"WaitEvents", testWaitEvents},
		{"TrimEvents", testTrimEvents},
		{"Marks", testMarks},
		{"CancelledContext", testCancelledContext},
		{"ClosedEngine", testClosedEngine},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &suite{T: t, Engine: open(t), ctx: t.Context()}
			t.Cleanup(func() {
				if err := s.Engine.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test.run(t, s)
		})
	}
}

// suite is one engine under test with the calls that must not fail.
type suite struct {
	*testing.T
	engine.Engine
	ctx context.Context
}

func container(name string) mediastore.Container {
	id := fmt.Sprintf("%014x", []byte(name))
	return mediastore.Container{
		Account:   account,
		Region:    "us-east-1",
		Name:      mediastore.ContainerName(name),
		ID:        mediastore.ContainerID(id[len(id)-mediastore.ContainerIDLength:]),
		Status:    mediastore.StatusActive,
		CreatedAt: epoch,
		Policy:    `{"for":"` + name + `"}`,
		Tags:      []mediastore.Tag{{Key: "a", Value: ""}, {Key: "b", Value: "ü"}},
	}
}

// active makes an ACTIVE container and returns its ID.
func (s *suite) active(name string) mediastore.ContainerID {
	s.Helper()
	c := container(name)
	if err := s.CreateContainer(s.ctx, c, 0); err != nil {
		s.Fatalf("CreateContainer(%s): %v", name, err)
	}
	return c.ID
}

func meta(etag string) mediastore.Object {
	return mediastore.Object{
		ETag:         mediastore.ETag(etag),
		SHA256:       [32]byte{1, 2, 3},
		ContentType:  "video/mp4; codecs=avc1",
		CacheControl: "max-age=1, public",
		LastModified: epoch,
	}
}

func (s *suite) begin(id mediastore.ContainerID, path string, size int64) engine.Upload {
	s.Helper()
	u, err := s.NewUpload(s.ctx, id, engine.UploadSpec{Path: mediastore.Path(path), Size: size})
	if err != nil {
		s.Fatalf("NewUpload(%s): %v", path, err)
	}
	s.Cleanup(func() { u.Close() })
	return u
}

func (s *suite) write(u engine.Upload, p []byte) {
	s.Helper()
	if n, err := u.Write(p); err != nil || n != len(p) {
		s.Fatalf("Write of %d bytes = %d, %v", len(p), n, err)
	}
}

// tryPut stores an object and returns what Commit said.
func (s *suite) tryPut(id mediastore.ContainerID, path string, body []byte, etag string, pre mediastore.Precondition) error {
	return s.tryPutUntil(id, path, body, etag, time.Time{}, pre)
}

// tryPutUntil stores an object that expires, unless expires is zero.
func (s *suite) tryPutUntil(id mediastore.ContainerID, path string, body []byte, etag string, expires time.Time, pre mediastore.Precondition) error {
	u, err := s.NewUpload(s.ctx, id, engine.UploadSpec{Path: mediastore.Path(path), Size: int64(len(body)), ExpiresAt: expires})
	if err != nil {
		return err
	}
	defer u.Close()
	if _, err := u.Write(body); err != nil {
		return err
	}
	object := meta(etag)
	object.ExpiresAt = expires
	return u.Commit(s.ctx, object, pre)
}

// putUntil stores an object that expires so many seconds after the epoch.
func (s *suite) putUntil(id mediastore.ContainerID, path string, body []byte, etag string, seconds int) {
	s.Helper()
	if err := s.tryPutUntil(id, path, body, etag, later(seconds), mediastore.Precondition{At: epoch}); err != nil {
		s.Fatalf("put %s: %v", path, err)
	}
}

func later(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

func (s *suite) put(id mediastore.ContainerID, path string, body []byte, etag string) {
	s.Helper()
	if err := s.tryPut(id, path, body, etag, mediastore.Precondition{}); err != nil {
		s.Fatalf("put %s: %v", path, err)
	}
}

func (s *suite) open(id mediastore.ContainerID, path string) engine.Reader {
	s.Helper()
	r, err := s.OpenObject(s.ctx, id, mediastore.Path(path))
	if err != nil {
		s.Fatalf("OpenObject(%s): %v", path, err)
	}
	s.Cleanup(func() { r.Close() })
	return r
}

func (s *suite) read(r engine.Reader) []byte {
	s.Helper()
	b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Object().Size))
	if err != nil {
		s.Fatalf("read %s: %v", r.Object().Path, err)
	}
	if int64(len(b)) != r.Object().Size {
		s.Fatalf("read %d bytes of %s, whose size is %d", len(b), r.Object().Path, r.Object().Size)
	}
	return b
}

func (s *suite) wantBody(id mediastore.ContainerID, path string, want []byte) {
	s.Helper()
	r := s.open(id, path)
	defer r.Close()
	if got := s.read(r); !bytes.Equal(got, want) {
		s.Fatalf("%s holds %s, want %s", path, brief(got), brief(want))
	}
}

func (s *suite) wantKind(what string, err error, kind mediastore.Kind) {
	s.Helper()
	if !mediastore.IsKind(err, kind) {
		s.Errorf("%s: got %v, want kind %q", what, err, kind)
	}
}

func (s *suite) wantItems(id mediastore.ContainerID, folder string, want ...string) {
	s.Helper()
	items, more, err := s.ListItems(s.ctx, id, mediastore.Folder(folder), engine.Position{}, 1000)
	if err != nil || more {
		s.Fatalf("ListItems(%q) = more %v, %v", folder, more, err)
	}
	if diff := cmp.Diff(want, names(items)); diff != "" {
		s.Errorf("ListItems(%q) (-want +got):\n%s", folder, diff)
	}
}

func names(items []mediastore.Item) []string {
	var out []string
	for _, item := range items {
		if item.Folder {
			out = append(out, item.Name+"/")
		} else {
			out = append(out, item.Name)
		}
	}
	return out
}

func brief(b []byte) string {
	if len(b) <= 40 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%d bytes %q…", len(b), b[:40])
}

// pattern returns n bytes that differ at every offset and for every seed, so
// that a wrong offset never goes unnoticed.
func pattern(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = r.Read(b) // never fails
	return b
}

// sizes straddle what engines treat differently: nothing, inline, one checksum
// block, several extents.
var sizes = []int{0, 1, 100, 4095, 4096, 4097, 32<<10 - 1, 32 << 10, 32<<10 + 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000, 1<<20 + 17}

func mustEOF(err error) bool { return err == nil || errors.Is(err, io.EOF) }

// together runs n functions at the same time and waits for them.
func together(n int, run func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { run(i) })
	}
	wg.Wait()
}
