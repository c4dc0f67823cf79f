package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/engine"
	"headwater/internal/engine/logstore"
	"headwater/internal/mediastore"
)

// The container of the objects that have an age.
const (
	agedName = "shows"
	agedID   = "agedcontainer2"
)

// aged is an object that was stored some days ago. Servers have no clock that a
// client could set, so the engine writes it.
type aged struct {
	path string
	size int // bytes
	days int
}

// body returns bytes that no other object has.
func (a aged) body() string {
	b := make([]byte, a.size)
	_, _ = mathrand.NewChaCha8(sha256.Sum256([]byte(a.path))).Read(b)
	return string(b)
}

func pathsOf(objects []aged) (paths []string) {
	for _, o := range objects {
		paths = append(paths, o.path)
	}
	slices.Sort(paths)
	return paths
}

// writeStore writes objects into a data directory that no server uses. Those of
// different calls share no volume, as if the server had been restarted in between.
func writeStore(t *testing.T, data string, objects []aged) {
	t.Helper()
	e, err := logstore.Open(logstore.Options{Dir: filepath.Join(data, "store")})
	if err != nil {
		t.Fatal(err)
	}
	c := mediastore.Container{
		Account: account, Region: region, Name: agedName, ID: agedID,
		Status: mediastore.StatusActive, CreatedAt: time.Now().AddDate(0, 0, -100),
	}
	if err := e.CreateContainer(t.Context(), c, 0); err != nil && !mediastore.IsKind(err, mediastore.KindContainerInUse) {
		t.Fatal(err)
	}
	for _, o := range objects {
		if err := o.write(t, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func (a aged) write(t *testing.T, e engine.Engine) error {
	body, etag := a.body(), make([]byte, 32)
	_, _ = rand.Read(etag)
	u, err := e.NewUpload(t.Context(), agedID, engine.UploadSpec{Path: mediastore.Path(a.path), Size: int64(a.size)})
	if err != nil {
		return err
	}
	defer u.Close()
	if _, err := io.WriteString(u, body); err != nil {
		return err
	}
	stored := time.Now().Add(-time.Duration(a.days) * 24 * time.Hour)
	return u.Commit(t.Context(), mediastore.Object{
		ETag: mediastore.ETag(hex.EncodeToString(etag)), SHA256: sha256.Sum256([]byte(body)),
		ContentType: "video/mp2t", CacheControl: "max-age=60", LastModified: stored,
	}, mediastore.Precondition{At: stored})
}

// shows are objects of which an ARCHIVE rule of 30 days concerns the old ones.
type shows struct {
	old, young []aged
	bytes      int64 // of the old ones that lie in volumes
}

const longShow = "old/long.ts" // of more bytes than a connection buffers

func writeShows(t *testing.T, data string) *shows {
	t.Helper()
	var s shows
	s.old = append(s.old, aged{longShow, 24 << 20, 31})
	for i := range 4 {
		s.old = append(s.old, aged{fmt.Sprintf("old/%d.ts", i), 3<<20 + i, 40}, aged{fmt.Sprintf("old/%d.m3u8", i), 1000 + i, 40})
	}
	s.young = []aged{{"old/young.ts", 3 << 20, 29}, {"old/young.m3u8", 1000, 29}, {"else/old.ts", 40 << 10, 40}}
	for _, o := range s.old {
		if o.size > 32<<10 {
			s.bytes += int64(o.size)
		}
	}
	writeStore(t, data, s.old)
	writeStore(t, data, s.young)
	return &s
}

var archiveOld = rule("ARCHIVE", "prefix", "old/", "days", ">=", 30)

// storageClass returns the header of an object that must be there, empty for none.
func storageClass(t *testing.T, endpoint, path string) string {
	t.Helper()
	a := rawCall(t, "HEAD", endpoint, path, "")
	a.is(t, "HEAD "+path, http.StatusOK, "")
	return a.Header.Get("x-amz-storage-class")
}

// awaitClass waits until the old objects have their class, and holds that no other
// object has it.
func (s *shows) awaitClass(t *testing.T, endpoint string) {
	t.Helper()
	for _, o := range s.old {
		eventually(t, o.path+" is archived", func() bool { return storageClass(t, endpoint, o.path) == "INFREQUENT_ACCESS" })
	}
	for _, o := range s.young {
		if class := storageClass(t, endpoint, o.path); class != "" {
			t.Errorf("%s has the class %s", o.path, class)
		}
	}
}

// wantReadable reads objects with curl, whole and in parts.
func wantReadable(t *testing.T, endpoint string, objects []aged) {
	t.Helper()
	for _, o := range objects {
		whole, n := o.body(), o.size
		if status, body := fetch(t, endpoint+"/"+o.path); status != http.StatusOK || body != whole {
			t.Errorf("%s: %d and %d bytes, want %d", o.path, status, len(body), n)
		}
		for spec, want := range map[string]string{
			"0-0": whole[:1], "-500": whole[n-500:], fmt.Sprint(n/2, "-"): whole[n/2:], fmt.Sprintf("%d-%d", n/3, n/3+n/2): whole[n/3 : n/3+n/2+1],
		} {
			if status, body := fetch(t, endpoint+"/"+o.path, "-r", spec); status != http.StatusPartialContent || body != want {
				t.Errorf("%s, Range %s: %d and %d bytes, want %d", o.path, spec, status, len(body), len(want))
			}
		}
	}
}

// wantUnavailable holds that archived objects are described, that to read them is
// refused for now, and that everything else goes on.
func (s *shows) wantUnavailable(t *testing.T, endpoint string) {
	t.Helper()
	for _, o := range s.old[:3] {
		for _, header := range []string{"Range: bytes=0-0", "Accept: */*"} {
			a := rawCall(t, "GET", endpoint, o.path, "", header)
			if err := a.refused(http.StatusServiceUnavailable, "ServiceUnavailableException", "archived", "cold tier"); err != nil {
				t.Errorf("%s, %s: %v: %s", o.path, header, err, a.Body)
			}
		}
	}
	s.awaitClass(t, endpoint)
	wantReadable(t, endpoint, s.young)
	wantLive(t, endpoint)
}

// wantLive holds that a live channel goes on.
func wantLive(t *testing.T, endpoint string) {
	t.Helper()
	putObject(t, endpoint, "live/1.m4s", "a segment")
	rawCall(t, "GET", endpoint, "live/1.m4s", "").is(t, "a live object", http.StatusOK, "a segment")
	rawCall(t, "DELETE", endpoint, "live/1.m4s", "").is(t, "DELETE", http.StatusOK, "")
}

// wantListed holds the lists of SDKs, which know no class in a list, and the list
// as it is.
func (s *shows) wantListed(t *testing.T, c *awsCLI, endpoint string) {
	t.Helper()
	all := append(slices.Clone(s.old), s.young...)
	slices.SortFunc(all, func(a, b aged) int { return strings.Compare(a.path, b.path) })
	var items jsonArray
	classes := map[string]string{}
	for _, o := range all {
		name, inFolder := strings.CutPrefix(o.path, "old/")
		if !inFolder {
			continue
		}
		etag := rawCall(t, "HEAD", endpoint, o.path, "").Header.Get("ETag")
		items = append(items, jsonObject{"Name": name, "Type": "OBJECT", "ETag": etag, "ContentType": "video/mp2t", "ContentLength": float64(o.size)})
		classes[name] = ""
		if slices.Contains(s.old, o) {
			classes[name] = "INFREQUENT_ACCESS"
		}
	}
	checkItems(t, c.data(endpoint, "list-items", "--path", "old").ok(t), items)
	_, _, body := do(t, http.MethodGet, endpoint+"/?Path=old", nil)
	var page struct {
		Items []struct{ Name, StorageClass string }
	}
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, item := range page.Items {
		got[item.Name] = item.StorageClass
	}
	if diff := cmp.Diff(classes, got); diff != "" {
		t.Errorf("classes in the list (-want +got):\n%s", diff)
	}
}

// tierFiles returns the sizes of the files of the container in a directory that is
// a cold tier.
func tierFiles(t *testing.T, dir string) (sizes []int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, agedID, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			sizes = append(sizes, int(info.Size()))
		}
	}
	slices.Sort(sizes)
	return sizes
}

// awaitMoved waits until the bytes of the old objects are in a directory, and not
// in the store any more.
func (s *shows) awaitMoved(t *testing.T, running *server, before int64, dir string) {
	t.Helper()
	var want []int
	for _, o := range s.old {
		want = append(want, o.size)
	}
	slices.Sort(want)
	eventually(t, "all bytes are in the tier", func() bool { return slices.Equal(want, tierFiles(t, dir)) })
	eventually(t, "the store shrinks", func() bool { return diskUse(t, running.volumes()) <= before-s.bytes })
}

// TestArchive carries out an ARCHIVE rule with both kinds of cold tier.
func TestArchive(t *testing.T) {
	t.Parallel()
	t.Run("directory", testArchiveDirectory)
	t.Run("bucket", testArchiveBucket)
}

// testArchiveDirectory marks objects where there is no cold tier, moves them once
// there is one, and does without it for a while.
func testArchiveDirectory(t *testing.T) {
	data, tier := t.TempDir(), t.TempDir()
	all := writeShows(t, data)

	s := startIn(t, data)
	before := diskUse(t, s.volumes())
	newCLI(t, s.URL).putLifecycle(t, agedName, archiveOld)
	all.awaitClass(t, s.URL+"/"+agedID)
	wantReadable(t, s.URL+"/"+agedID, all.old)
	if used := diskUse(t, s.volumes()); used < before {
		t.Errorf("without a tier the store shrinks from %d to %d bytes", before, used)
	}
	s.stop()

	s = startIn(t, data, "--archive", tier)
	all.awaitMoved(t, s, before, tier)
	w := watch(t, s)
	endpoint := w.URL + "/" + agedID
	all.awaitClass(t, endpoint)
	wantReadable(t, endpoint, slices.Concat(all.old, all.young))
	all.wantListed(t, newCLI(t, w.URL), endpoint)
	runPython(t, w.URL, "archived.py", "HEADWATER_ENDPOINT="+endpoint)
	s.stop()

	s = startIn(t, data)
	all.wantUnavailable(t, s.URL+"/"+agedID)
	s.stop()

	s = startIn(t, data, "--archive", tier)
	wantReadable(t, s.URL+"/"+agedID, all.old)
	t.Run("deleted", func(t *testing.T) { testArchivedIsDeleted(t, s.URL+"/"+agedID, tier) })
	t.Run("replaced", func(t *testing.T) { testArchivedIsReplaced(t, s.URL+"/"+agedID, all.old[1], tier) })
}

// testArchivedIsDeleted: who is reading goes on.
func testArchivedIsDeleted(t *testing.T, endpoint, tier string) {
	files := tierFiles(t, tier)
	whole := aged{path: longShow, size: 24 << 20}.body()
	c := dial(t, endpoint)
	c.send(rawRequest("GET", rawTarget(endpoint, longShow), ""))
	res := c.head("GET")
	defer res.Body.Close()
	rawCall(t, "DELETE", endpoint, longShow, "").is(t, "DELETE", http.StatusOK, "")
	if status := rawCall(t, "GET", endpoint, longShow, "").Status; status != http.StatusNotFound {
		t.Errorf("after the deletion: %d", status)
	}
	if diff := cmp.Diff(files, tierFiles(t, tier)); diff != "" {
		t.Errorf("the tier, right after the deletion (-want +got):\n%s", diff)
	}
	if body, err := io.ReadAll(res.Body); string(body) != whole {
		t.Errorf("the reader got %d of %d bytes, %v", len(body), len(whole), err)
	}
}

// testArchivedIsReplaced: the new version is like any other.
func testArchivedIsReplaced(t *testing.T, endpoint string, o aged, tier string) {
	files := tierFiles(t, tier)
	putObject(t, endpoint, o.path, "new")
	if class := storageClass(t, endpoint, o.path); class != "" {
		t.Errorf("the class is %q", class)
	}
	rawCall(t, "GET", endpoint, o.path, "").is(t, "GET", http.StatusOK, "new")
	if diff := cmp.Diff(files, tierFiles(t, tier)); diff != "" {
		t.Errorf("the tier, right after the replacement (-want +got):\n%s", diff)
	}
}

// bucketServer is versitygw, an S3-compatible server, with one empty bucket.
type bucketServer struct {
	t       *testing.T
	address string
	data    string
	sidecar string
	cmd     *exec.Cmd
}

const bucketName = "cold-tier"

func startBucketServer(t *testing.T) *bucketServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bucketServer{t: t, address: l.Addr().String(), data: t.TempDir(), sidecar: t.TempDir()}
	l.Close()
	if err := os.Mkdir(filepath.Join(b.data, bucketName), 0o700); err != nil {
		t.Fatal(err)
	}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *bucketServer) start() {
	b.t.Helper()
	program, err := filepath.Abs("../bin/versitygw")
	if err != nil {
		b.t.Fatal(err)
	}
	b.cmd = exec.Command(program, "--port", b.address, "--health", "/health", "--quiet", "posix", "--sidecar", b.sidecar, b.data)
	b.cmd.Env = append(cleanEnv(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	if err := b.cmd.Start(); err != nil {
		b.t.Fatalf("the S3-compatible server is not installed: run make tools (%v)", err)
	}
	eventually(b.t, "the S3-compatible server answers", func() bool {
		res, err := http.Get("http://" + b.address + "/health")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// stop kills the server. It may be started again.
func (b *bucketServer) stop() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}

func (b *bucketServer) signal(s syscall.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}

// testArchiveBucket moves objects into a bucket, which is then out of reach, and
// later hangs, for a while.
func testArchiveBucket(t *testing.T) {
	data, bucket := t.TempDir(), startBucketServer(t)
	all := writeShows(t, data)
	s, _ := startPrinting(t, data, []string{"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey},
		"--archive", "s3://"+bucketName+"/some/prefix", "--archive-endpoint", "http://"+bucket.address)
	before := diskUse(t, s.volumes())
	w := watch(t, s)
	endpoint := w.URL + "/" + agedID
	newCLI(t, w.URL).putLifecycle(t, agedName, archiveOld)
	all.awaitClass(t, endpoint)
	eventually(t, "the store shrinks", func() bool { return diskUse(t, s.volumes()) <= before-all.bytes })
	if used := diskUse(t, filepath.Join(bucket.data, bucketName, "some", "prefix")); used < all.bytes {
		t.Errorf("the bucket has %d bytes, want %d", used, all.bytes)
	}
	wantReadable(t, endpoint, slices.Concat(all.old, all.young))

	bucket.stop()
	all.wantUnavailable(t, endpoint)
	bucket.start()
	wantReadable(t, endpoint, all.old)

	bucket.signal(syscall.SIGSTOP)
	waiting := dial(t, endpoint)
	waiting.send(rawRequest("GET", rawTarget(endpoint, all.old[1].path), ""))
	wantLive(t, endpoint)
	bucket.signal(syscall.SIGCONT)
	waiting.answer("GET").is(t, "GET while the tier hangs", http.StatusOK, all.old[1].body())
}
