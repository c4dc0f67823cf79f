package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const streaming = "x-amz-upload-availability: STREAMING"

// beginChunked begins a chunked upload by the root user.
func beginChunked(t *testing.T, endpoint, path string, headers ...string) *rawConn {
	t.Helper()
	c := dial(t, endpoint)
	c.send(rawRequest("PUT", rawTarget(endpoint, path), "", append(headers, "Transfer-Encoding: chunked")...))
	return c
}

// follower is a GET that is under way.
type follower struct {
	*http.Response
	conn *rawConn
}

// follow begins a GET.
func follow(t *testing.T, endpoint, path string, headers ...string) *follower {
	t.Helper()
	c := dial(t, endpoint)
	c.send(rawRequest("GET", rawTarget(endpoint, path), "", headers...))
	return &follower{c.head("GET"), c}
}

// next reads as many bytes as want has, and fails when they are others.
func (f *follower) next(want string) {
	f.conn.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(f.Body, got); err != nil || string(got) != want {
		f.conn.t.Fatalf("a follower got %.80q, %v; want %.80q", got[:n], err, want)
	}
}

// rest reads what is left. The error is nil at a clean end.
func (f *follower) rest() (string, error) {
	b, err := io.ReadAll(f.Body)
	return string(b), err
}

// wantEnd fails unless the follower has had everything and knows it.
func (f *follower) wantEnd() {
	f.conn.t.Helper()
	if more, err := f.rest(); more != "" || err != nil {
		f.conn.t.Errorf("at the end a follower got %.80q, %v", more, err)
	}
}

// wantCut fails when what the follower gets looks like the end of an object.
func (f *follower) wantCut() {
	f.conn.t.Helper()
	if _, err := f.rest(); err == nil {
		f.conn.t.Error("a follower of an upload that was broken off saw a clean end")
	}
}

// untilVisible waits until an upload can be followed.
func untilVisible(t *testing.T, endpoint, path string) {
	t.Helper()
	eventually(t, path+" is visible", func() bool { return rawCall(t, "HEAD", endpoint, path, "").Status == http.StatusOK })
}

// chunkOf makes the k-th chunk of an upload, which no other resembles.
func chunkOf(k int) string { return strings.Repeat(fmt.Sprintf("chunk %03d.", k), 2000+k) }

// moreThanBuffers is more than the sockets between a client and the server hold:
// when it has been sent, the server has read some of it.
var moreThanBuffers = strings.Repeat("0123456789abcdef", 1<<20)

// TestFollowersGetEachChunk: chunk k+1 is sent only when every follower has chunk
// k, so an upload that was not passed on at once would never end.
func TestFollowersGetEachChunk(t *testing.T) {
	const chunks = 6
	endpoint := container(t, start(t).URL, "live")
	up := beginChunked(t, endpoint, "a/b.ts", streaming, "Content-Type: video/mp2t", "Cache-Control: max-age=7")
	up.chunk(chunkOf(0))
	untilVisible(t, endpoint, "a/b.ts")

	var followers []*follower
	sent := ""
	for k := range chunks {
		if k > 0 {
			up.chunk(chunkOf(k))
		}
		for _, f := range followers {
			f.next(chunkOf(k))
		}
		sent += chunkOf(k)
		late := follow(t, endpoint, "a/b.ts")
		late.next(sent) // from the start, however late it came
		followers = append(followers, late)
	}
	if got := listNames(t, endpoint, ""); len(got) != 0 {
		t.Errorf("while it is under way the list has %q", got)
	}
	up.end()
	etag := up.answer("PUT").etag(t)
	for i, f := range followers {
		f.wantEnd()
		if f.StatusCode != http.StatusOK || f.ContentLength != -1 || f.Header.Get("Content-Length") != "" ||
			f.Header.Get("ETag") != etag || f.Header.Get("Content-Type") != "video/mp2t" || f.Header.Get("Cache-Control") != "max-age=7" {
			t.Errorf("follower %d: %d %v, want ETag %s", i, f.StatusCode, f.Header, etag)
		}
	}
	after := rawCall(t, "GET", endpoint, "a/b.ts", "")
	after.is(t, "after the upload", http.StatusOK, sent)
	for _, name := range []string{"ETag", "Last-Modified", "Content-Type", "Cache-Control"} {
		if got, want := followers[0].Header.Get(name), after.Header.Get(name); got != want || got == "" {
			t.Errorf("%s was %q in flight and is %q afterwards", name, got, want)
		}
	}
	if got := listNames(t, endpoint, "a"); !slices.Equal(got, []string{"b.ts"}) {
		t.Errorf("afterwards the folder has %q", got)
	}
}

func TestHeadInFlight(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	up := beginChunked(t, endpoint, "a.ts", streaming)
	up.chunk("first")
	untilVisible(t, endpoint, "a.ts")
	during := rawCall(t, "HEAD", endpoint, "a.ts", "")
	if during.Status != http.StatusOK || during.Header.Get("Content-Length") != "" || during.Header.Get("Content-Type") != "video/mp2t" {
		t.Errorf("HEAD in flight: %d %v", during.Status, during.Header)
	}
	up.end()
	etag := up.answer("PUT").etag(t)
	after := rawCall(t, "HEAD", endpoint, "a.ts", "")
	if during.Header.Get("ETag") != etag || after.Header.Get("ETag") != etag || after.Header.Get("Content-Length") != "5" {
		t.Errorf("PUT answered ETag %s; HEAD had %v in flight and has %v", etag, during.Header, after.Header)
	}
}

// TestSizedUploadIsFollowed: a Content-Length changes nothing for followers. They
// do not get it, because the upload may still break off.
func TestSizedUploadIsFollowed(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	first, second := chunkOf(1), chunkOf(2)
	up := dial(t, endpoint)
	up.send(rawRequest("PUT", rawTarget(endpoint, "a.ts"), first, streaming, fmt.Sprint("Content-Length: ", len(first+second))))
	untilVisible(t, endpoint, "a.ts")
	f := follow(t, endpoint, "a.ts")
	f.next(first)
	up.send(second)
	f.next(second)
	etag := up.answer("PUT").etag(t)
	f.wantEnd()
	if f.Header.Get("Content-Length") != "" || f.Header.Get("ETag") != etag {
		t.Errorf("in flight: %v, want ETag %s and no Content-Length", f.Header, etag)
	}
}

// TestStandardUploadIsHidden: an upload that is not STREAMING is not there before
// it is complete, and its predecessor is.
func TestStandardUploadIsHidden(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	putObject(t, endpoint, "old.ts", "the old one")
	for _, headers := range [][]string{{}, {"x-amz-upload-availability: STANDARD"}} {
		for path, before := range map[string]string{"new.ts": "", "old.ts": "the old one"} {
			up := beginChunked(t, endpoint, path, headers...)
			up.chunk(moreThanBuffers)
			a := rawCall(t, "GET", endpoint, path, "")
			if before == "" {
				if err := a.refused(http.StatusNotFound, "ObjectNotFoundException"); err != nil {
					t.Errorf("%s, under way: %v", path, err)
				}
			} else {
				a.is(t, path+", under way", http.StatusOK, before)
			}
			up.end()
			up.answer("PUT").etag(t)
			rawCall(t, "GET", endpoint, path, "").is(t, path+", complete", http.StatusOK, moreThanBuffers)
			rawCall(t, "DELETE", endpoint, "new.ts", "")
			putObject(t, endpoint, "old.ts", "the old one")
		}
	}
}

// TestRangesInFlight holds ranges of an upload under way against RFC 8673.
func TestRangesInFlight(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	up := beginChunked(t, endpoint, "a.ts", streaming)
	up.chunk("0123456789")
	untilVisible(t, endpoint, "a.ts")

	whole := follow(t, endpoint, "a.ts", "Range: bytes=0-")
	fromThere := follow(t, endpoint, "a.ts", "Range: bytes=4-9007199254740991")
	fromStart := follow(t, endpoint, "a.ts", "Range: bytes=0-9007199254740991")
	suffix := follow(t, endpoint, "a.ts", "Range: bytes=-3")
	whole.next("0123456789")
	fromThere.next("456789")
	fromStart.next("0123456789")
	for spec, want := range map[string]struct{ contentRange, body string }{
		"bytes=2-5":    {"bytes 2-5/*", "2345"},
		"bytes=0-0":    {"bytes 0-0/*", "0"},
		"bytes=9-9":    {"bytes 9-9/*", "9"},
		"bytes=6-1000": {"bytes 6-9/*", "6789"},
		"bytes=6-":     {"bytes 6-9/*", "6789"},
	} {
		a := rawCall(t, "GET", endpoint, "a.ts", "", "Range: "+spec)
		a.is(t, spec, http.StatusPartialContent, want.body)
		if got := a.Header.Get("Content-Range"); got != want.contentRange {
			t.Errorf("%s: Content-Range %q, want %q", spec, got, want.contentRange)
		}
	}
	for _, spec := range []string{"bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=-"} {
		if err := rawCall(t, "GET", endpoint, "a.ts", "", "Range: "+spec).refused(416, "RequestedRangeNotSatisfiableException", "Range"); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}

	// A range that begins beyond what there is waits for it.
	waits, never := dial(t, endpoint), dial(t, endpoint)
	waits.send(rawRequest("GET", rawTarget(endpoint, "a.ts"), "", "Range: bytes=12-13"))
	never.send(rawRequest("GET", rawTarget(endpoint, "a.ts"), "", "Range: bytes=1000-1001"))
	up.chunk("abcdefghij")
	waits.answer("GET").is(t, "a range that waits", http.StatusPartialContent, "cd")
	whole.next("abcdefghij")
	fromThere.next("abcdefghij")
	fromStart.next("abcdefghij")
	up.end()
	up.answer("PUT").etag(t)
	if err := never.answer("GET").refused(416, "RequestedRangeNotSatisfiableException", "Range"); err != nil {
		t.Errorf("a range that began after the end: %v", err)
	}
	for _, f := range []*follower{whole, fromThere, fromStart} {
		f.wantEnd()
	}
	if whole.StatusCode != http.StatusOK || whole.Header.Get("Content-Range") != "" {
		t.Errorf("bytes=0-: %d %v", whole.StatusCode, whole.Header)
	}
	for f, want := range map[*follower]string{fromThere: "bytes 4-9007199254740991/*", fromStart: "bytes 0-9007199254740991/*"} {
		if f.StatusCode != http.StatusPartialContent || f.Header.Get("Content-Range") != want || f.Header.Get("Content-Length") != "" {
			t.Errorf("want %s: %d %v", want, f.StatusCode, f.Header)
		}
	}
	if got, err := suffix.rest(); suffix.StatusCode != http.StatusOK || got != "0123456789abcdefghij" || err != nil {
		t.Errorf("a suffix range in flight: %d %q, %v; want the whole", suffix.StatusCode, got, err)
	}
}

// TestUploaderCutOff: whoever follows an upload that breaks off must not take what
// it got for the object, and who comes later gets what was there before.
func TestUploaderCutOff(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	putObject(t, endpoint, "old.ts", "the old one")
	for _, path := range []string{"old.ts", "new.ts"} {
		for _, sized := range []bool{false, true} {
			length := "Transfer-Encoding: chunked"
			if sized {
				length = "Content-Length: 1000000"
			}
			up := dial(t, endpoint)
			up.send(rawRequest("PUT", rawTarget(endpoint, path), "", streaming, length))
			data := chunkOf(1)
			if sized {
				up.send(data)
			} else {
				up.chunk(data)
			}
			eventually(t, "the upload is visible", func() bool {
				return rawCall(t, "HEAD", endpoint, path, "").Header.Get("ETag") != "" && rawCall(t, "HEAD", endpoint, path, "").Header.Get("Content-Length") == ""
			})
			followers := []*follower{follow(t, endpoint, path), follow(t, endpoint, path), follow(t, endpoint, path, "Range: bytes=10-9007199254740991")}
			followers[0].next(data)
			followers[1].next(data)
			followers[2].next(data[10:])
			if !sized {
				up.send("4000\r\nhalf a chu")
			}
			up.Close()
			for _, f := range followers {
				f.wantCut()
			}
			eventually(t, "the upload is gone", func() bool {
				a := rawCall(t, "HEAD", endpoint, path, "")
				return a.Status != http.StatusOK || a.Header.Get("Content-Length") != ""
			})
			a := rawCall(t, "GET", endpoint, path, "")
			if path == "old.ts" {
				a.is(t, "after the break", http.StatusOK, "the old one")
			} else if err := a.refused(http.StatusNotFound, "ObjectNotFoundException"); err != nil {
				t.Errorf("after the break: %v", err)
			}
		}
	}
	if got := listNames(t, endpoint, ""); !slices.Equal(got, []string{"old.ts"}) {
		t.Errorf("the list has %q", got)
	}
}

// TestSlowFollowerHoldsUpNobody: one that never reads costs neither the uploader
// nor the other followers anything.
func TestSlowFollowerHoldsUpNobody(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	up := beginChunked(t, endpoint, "a.ts", streaming)
	up.chunk("first")
	untilVisible(t, endpoint, "a.ts")
	for range 3 {
		follow(t, endpoint, "a.ts") // and never read on
	}
	f := follow(t, endpoint, "a.ts")
	f.next("first")
	for range 2 {
		up.chunk(moreThanBuffers)
		f.next(moreThanBuffers)
	}
	up.end()
	up.answer("PUT").etag(t)
	f.wantEnd()
}

// TestUnverifiedUploadIsNotShown: bytes are not for readers before it is known who
// sent them, even when the client asked for STREAMING.
func TestUnverifiedUploadIsNotShown(t *testing.T) {
	s := start(t)
	endpoint := container(t, s.URL, "live")
	body := moreThanBuffers
	for _, test := range []struct {
		name, path, signedFor string
		status                int
	}{
		{"signed for another body", "wrong.ts", body + "!", http.StatusForbidden},
		{"signed without a declared hash", "right.ts", body, http.StatusOK},
	} {
		up := dial(t, endpoint)
		up.send(signedHead(t, endpoint+"/"+test.path, test.signedFor) + "Transfer-Encoding: chunked\r\n" + streaming + "\r\n\r\n")
		up.chunk(body)
		if a := rawCall(t, "GET", endpoint, test.path, ""); a.Status != http.StatusNotFound {
			t.Errorf("%s: %d before the upload's end", test.name, a.Status)
		}
		up.end()
		if a := up.answer("PUT"); a.Status != test.status {
			t.Errorf("%s: %d %s, want %d", test.name, a.Status, a.Body, test.status)
		}
	}
	if got := listNames(t, endpoint, ""); !slices.Equal(got, []string{"right.ts"}) {
		t.Errorf("the list has %q", got)
	}
	rawCall(t, "GET", endpoint, "right.ts", "").is(t, "the verified upload", http.StatusOK, body)
}

// signedHead is the head of a PUT, without its end, that a signer signed for a
// body without declaring its hash.
func signedHead(t *testing.T, url, body string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	signRequest(t, req, sha256Hex(body))
	head := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: %s\r\n", req.URL.EscapedPath(), req.Host)
	for _, name := range []string{"Authorization", "X-Amz-Date"} {
		head += name + ": " + req.Header.Get(name) + "\r\n"
	}
	return head
}

// signRequest signs a request as an SDK would, for the root user.
func signRequest(t *testing.T, req *http.Request, payloadHash string) {
	t.Helper()
	key := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), key, req, payloadHash, "mediastore", region, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// TestRefusedUploadIsNeverShown: an upload that may not be is answered without its
// body, and nothing of it is ever to be seen.
func TestRefusedUploadIsNeverShown(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	for name, auth := range map[string]string{
		"anonymous":        anonymous,
		"a wrong password": "Authorization: Basic QUtJREhFQURXQVRFUlRFU1Q6d3Jvbmc=",
	} {
		up := beginChunked(t, endpoint, "a.ts", streaming, auth)
		up.chunk("some of it")
		a := up.answer("PUT") // while the body has no end
		if a.Status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if a := rawCall(t, "GET", endpoint, "a.ts", ""); a.Status != http.StatusNotFound {
			t.Errorf("%s: the upload shows: %d %.100q", name, a.Status, a.Body)
		}
	}
}

func TestExpectContinue(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	expect := []string{"Expect: 100-continue", "Content-Length: 5"}
	begin := func(headers ...string) *rawConn {
		c := dial(t, endpoint)
		c.send(rawRequest("PUT", rawTarget(endpoint, "a.ts"), "", append(headers, expect...)...))
		return c
	}

	a := begin(anonymous).answer("PUT")
	if err := a.refused(http.StatusUnauthorized, "AccessDeniedException", "anonymous"); err != nil || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("without credentials: %v; %v", err, a.Header)
	}
	a = begin("Authorization: Basic QUtJREhFQURXQVRFUlRFU1Q6d3Jvbmc=").answer("PUT")
	if err := a.refused(http.StatusForbidden, "InvalidSignatureException"); err != nil {
		t.Errorf("with a wrong password: %v", err)
	}
	a = begin("x-amz-upload-availability: LATER").answer("PUT")
	if err := a.refused(http.StatusBadRequest, "ValidationException", "x-amz-upload-availability"); err != nil {
		t.Errorf("with a wrong header: %v", err)
	}
	a = begin("If-Match: aa").answer("PUT")
	if err := a.refused(http.StatusPreconditionFailed, "PreconditionFailedException"); err != nil {
		t.Errorf("with a condition that does not hold: %v", err)
	}

	c := begin()
	if res := c.head("PUT"); res.StatusCode != http.StatusContinue {
		t.Fatalf("an upload that may be is answered %d before its body", res.StatusCode)
	}
	c.send("hello")
	c.answer("PUT").etag(t)
	rawCall(t, "GET", endpoint, "a.ts", "").is(t, "after 100-continue", http.StatusOK, "hello")
}

// TestFollowerReadsOnAfterReplace: a reader has the version that it opened, also
// when the path got another one or none in the meantime.
func TestFollowerReadsOnAfterReplace(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	up := beginChunked(t, endpoint, "a.ts", streaming)
	up.chunk("first,")
	untilVisible(t, endpoint, "a.ts")
	f := follow(t, endpoint, "a.ts")
	f.next("first,")
	putObject(t, endpoint, "a.ts", "another")
	rawCall(t, "GET", endpoint, "a.ts", "").is(t, "the one that was stored last", http.StatusOK, "another")
	up.chunk("second")
	f.next("second")
	up.end()
	etag := up.answer("PUT").etag(t)
	f.wantEnd()
	rawCall(t, "GET", endpoint, "a.ts", "").is(t, "the one that ended last", http.StatusOK, "first,second")

	putObject(t, endpoint, "big.ts", moreThanBuffers)
	reader := follow(t, endpoint, "big.ts")
	reader.next(moreThanBuffers[:1000])
	rawCall(t, "DELETE", endpoint, "big.ts", "").is(t, "DELETE", http.StatusOK, "")
	reader.next(moreThanBuffers[1000:])
	reader.wantEnd()
	if a := rawCall(t, "HEAD", endpoint, "a.ts", ""); a.Header.Get("ETag") != etag {
		t.Errorf("HEAD: %v, want ETag %s", a.Header, etag)
	}
}

// TestIOPipeUpload is the same with a real client at both ends: Go's sends a body
// of unknown length chunk by chunk.
func TestIOPipeUpload(t *testing.T) {
	endpoint := container(t, start(t).URL, "live")
	body, w := io.Pipe()
	req, err := http.NewRequest(http.MethodPut, endpoint+"/a.ts", body)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(accessKey, secretKey)
	req.Header.Set("x-amz-upload-availability", "STREAMING")
	done := make(chan error, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d", res.StatusCode)
			}
		}
		done <- err
	}()
	var f *follower
	for k := range 4 {
		if _, err := io.Copy(w, bytes.NewReader([]byte(chunkOf(k)))); err != nil {
			t.Fatal(err)
		}
		if f == nil {
			untilVisible(t, endpoint, "a.ts")
			f = follow(t, endpoint, "a.ts")
		}
		f.next(chunkOf(k))
	}
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	f.wantEnd()
}

// TestPipelinedUploadsAndHangUp: ffmpeg's HLS muxer sends its last requests one
// behind the other and closes the connection without reading an answer. All that
// arrived whole is stored.
func TestPipelinedUploadsAndHangUp(t *testing.T) {
	s := start(t)
	endpoint := container(t, s.URL, "live")
	path := strings.TrimPrefix(endpoint, s.URL)
	for round := range 20 {
		conn := dial(t, s.URL)
		var all strings.Builder
		for i := range 3 {
			all.WriteString(rawRequest("PUT", fmt.Sprintf("%s/live/%d-%d", path, round, i), "4\r\nbody\r\n0\r\n\r\n", "Transfer-Encoding: chunked"))
		}
		conn.send(all.String())
		if err := conn.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the last upload is stored", func() bool {
			status, _, body := do(t, "GET", fmt.Sprintf("%s/live/%d-2", endpoint, round), nil)
			return status == http.StatusOK && string(body) == "body"
		})
	}
}

// TestHangUpWithUnreadAnswers is the same with an answer that the client has got
// and not read: the kernel then resets the connection, and no further answer can
// be sent. The uploads have arrived all the same.
func TestHangUpWithUnreadAnswers(t *testing.T) {
	s := start(t)
	endpoint := container(t, s.URL, "live")
	path := strings.TrimPrefix(endpoint, s.URL)
	put := func(name string) string {
		return rawRequest("PUT", path+"/live/"+name, "4\r\nbody\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
	}
	for round := range 20 {
		conn := dial(t, s.URL)
		conn.send(put(fmt.Sprintf("%d-first", round)))
		if _, err := conn.r.Peek(1); err != nil { // the answer has come, and most of it stays unread in the kernel
			t.Fatal(err)
		}
		conn.send(put(fmt.Sprintf("%d-0", round)))
		waitUnread(t, conn.Conn)
		conn.send(put(fmt.Sprintf("%d-1", round)) + put(fmt.Sprintf("%d-2", round)) + put(fmt.Sprintf("%d-3", round)))
		conn.Close()
		for i := range 4 {
			eventually(t, "an upload is stored", func() bool {
				status, _, body := do(t, "GET", fmt.Sprintf("%s/live/%d-%d", endpoint, round, i), nil)
				return status == http.StatusOK && string(body) == "body"
			})
		}
	}
}

// waitUnread waits until the kernel has bytes for a connection that nobody reads.
func waitUnread(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	eventually(t, "an answer waits", func() (waits bool) {
		if err := raw.Control(func(fd uintptr) {
			n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			waits = n > 0 && err == nil
		}); err != nil {
			t.Fatal(err)
		}
		return waits
	})
}
