package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMedia publishes live channels with Debian's ffmpeg and plays them with the
// usual players in Debian's Chromium, from a page of another origin.
func TestMedia(t *testing.T) {
	s := start(t)
	page := newSite(t)
	byIP := publicContainer(t, s, "byip", encoderFrom("127.0.0.1/32"))
	basic := publicContainer(t, s, "basic", anyoneReads)
	wantOtherAddressDenied(t, s)

	channels := append(page.channels(byIP), page.channels(strings.Replace(basic, "//", "//"+accessKey+":"+secretKey+"@", 1))...)
	channels[0].options = append(channels[0].options, "-method", "POST") // as good as PUT
	for _, c := range channels {
		c.publish(t)
	}
	for _, c := range channels {
		eventually(t, "there is "+c.manifest, func() bool { status, _ := get(t, c.address()); return status == http.StatusOK })
	}

	t.Run("without CORS", func(t *testing.T) {
		page.fails(t, "hls.html", byIP+"/ts/index.m3u8")
		page.fails(t, "dash.html", byIP+"/dash/manifest.mpd")
	})
	page.admit(t, s, "byip")
	page.admit(t, s, "basic")
	t.Run("players", func(t *testing.T) {
		page.plays(t, "hls.html", byIP+"/ts/index.m3u8")
		page.plays(t, "hls.html", basic+"/fmp4/index.m3u8")
		page.plays(t, "dash.html", byIP+"/dash/manifest.mpd")
		page.plays(t, "shaka.html", basic+"/dash/manifest.mpd")
	})
	t.Run("in flight", func(t *testing.T) {
		wantFollowed(t, byIP)
		wantFollowed(t, basic)
	})
	for _, c := range channels {
		t.Run(c.address(), func(t *testing.T) { c.check(t, s) })
	}
}

// encoderFrom is a statement that lets whoever comes from a network do anything.
func encoderFrom(network string) string {
	return `"Sid":"Encoder","Effect":"Allow","Principal":"*","Action":"mediastore:*",` +
		`"Condition":{"IpAddress":{"aws:SourceIp":"` + network + `"}}`
}

const anyoneReads = `"Sid":"Players","Effect":"Allow","Principal":"*","Action":["mediastore:GetObject","mediastore:DescribeObject"]`

// publicContainer makes a container with a policy of one statement and returns
// its endpoint.
func publicContainer(t *testing.T, s *server, name, statement string) string {
	t.Helper()
	endpoint := container(t, s.URL, name)
	putPolicy(t, s.URL, name, statement)
	return endpoint
}

// wantOtherAddressDenied shows that the condition on the address is what lets
// the encoders in.
func wantOtherAddressDenied(t *testing.T, s *server) {
	t.Helper()
	endpoint := publicContainer(t, s, "elsewhere", encoderFrom("192.0.2.0/24"))
	req, err := http.NewRequest(http.MethodPut, endpoint+"/live/index.m3u8", strings.NewReader("#EXTM3U\n"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("an upload from an address that the policy does not name: %s", res.Status)
	}
}

// channel is a live channel that ffmpeg publishes.
type channel struct {
	endpoint string // with user and password, or without
	manifest string // its path
	options  []string
	first    string            // the name of the first segment, which is deleted in time
	most     int               // objects that may be there at any time
	types    map[string]string // content types that there must be, by suffix

	log  bytes.Buffer
	stop func() error // ends ffmpeg as its user would
}

var userinfo = regexp.MustCompile(`//[^/]*@`)

// address is where players find the channel.
func (c *channel) address() string { return c.objects() + "/" + c.manifest }

// objects is the endpoint without user and password.
func (c *channel) objects() string { return userinfo.ReplaceAllString(c.endpoint, "//") }

func (p *site) channels(endpoint string) []*channel {
	hls := []string{"-f", "hls", "-hls_time", "2", "-hls_list_size", "5", "-hls_flags", "delete_segments"}
	fmp4 := slices.Concat(hls, []string{"-hls_segment_type", "fmp4", "-http_persistent", "1", "-method", "PUT"})
	dash := []string{
		"-f", "dash", "-ldash", "1", "-streaming", "1", "-seg_duration", "2", "-frag_type", "duration", "-frag_duration", "0.5",
		"-use_template", "1", "-use_timeline", "0", "-window_size", "5", "-extra_window_size", "5", "-remove_at_exit", "0",
		"-utc_timing_url", p.URL + "/time", "-method", "PUT", "-http_persistent", "1",
		"-http_opts", "headers='x-amz-upload-availability: STREAMING\r\n'",
	}
	const playlist, media = "application/vnd.apple.mpegurl", "video/iso.segment"
	return []*channel{
		{
			endpoint: endpoint, manifest: "ts/index.m3u8", options: hls, first: "index0.ts", most: 10,
			types: map[string]string{".m3u8": playlist, ".ts": "video/mp2t"},
		},
		{
			endpoint: endpoint, manifest: "fmp4/index.m3u8", options: fmp4, first: "index0.m4s", most: 10,
			types: map[string]string{".m3u8": playlist, ".m4s": media, ".mp4": "video/mp4"},
		},
		{
			endpoint: endpoint, manifest: "dash/manifest.mpd", options: dash, first: "chunk-stream0-00001.m4s", most: 30,
			types: map[string]string{".mpd": "application/dash+xml", ".m4s": media},
		},
	}
}

// publish begins the channel: a test picture and a tone, cut every two seconds.
func (c *channel) publish(t *testing.T) {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-hide_banner", "-nostats", "-loglevel", "level+error",
		"-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-b:v", "300k",
		"-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-c:a", "aac", "-b:a", "64k")
	cmd.Args = append(append(cmd.Args, c.options...), c.endpoint+"/"+c.manifest)
	cmd.Stderr = &c.log
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	c.stop = func() error {
		ended = true
		_, _ = io.WriteString(keys, "q") // when it is gone, Wait says why
		return cmd.Wait()
	}
	t.Cleanup(func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
}

// check ends the channel and looks at what it left behind.
func (c *channel) check(t *testing.T, s *server) {
	folder := path.Dir(c.manifest)
	eventually(t, "the first segment is deleted", func() bool {
		status, _ := get(t, c.objects()+"/"+folder+"/"+c.first)
		return status == http.StatusNotFound
	})
	if err := c.stop(); err != nil {
		t.Errorf("ffmpeg: %v", err)
	}
	c.checkLog(t)
	eventually(t, "the last manifest and all that it names are there", func() bool { return c.complete(t) })
	c.checkRequests(t, s)
	names, types := listTypes(t, c.objects(), folder)
	if len(names) > c.most {
		t.Errorf("%d objects are left: %q", len(names), names)
	}
	if diff := cmp.Diff(c.types, types); diff != "" {
		t.Errorf("content types (-want +got):\n%s", diff)
	}
}

// complete reports whether the server has stored everything. ffmpeg does not wait
// for the last answers.
func (c *channel) complete(t *testing.T) bool {
	t.Helper()
	status, manifest := get(t, c.address())
	if status != http.StatusOK || !lastManifest.Match(manifest) {
		return false
	}
	names, _ := listTypes(t, c.objects(), path.Dir(c.manifest))
	for _, named := range segmentLine.FindAllString(string(manifest), -1) {
		if !slices.Contains(names, named) {
			return false
		}
	}
	return true
}

var (
	lastManifest = regexp.MustCompile(`#EXT-X-ENDLIST|type="static"`)
	segmentLine  = regexp.MustCompile(`(?m)^index\d+\.\w+$`)
)

// noRename is what ffmpeg's DASH muxer says of every HTTP server, as an error.
const noRename = "Cannot use rename on non file protocol"

func (c *channel) checkLog(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(c.log.String()) {
		if !strings.Contains(line, noRename) {
			t.Errorf("ffmpeg: %s", line)
		}
	}
}

var requestPattern = regexp.MustCompile(`method=(PUT|POST|DELETE) path=(\S+) status=(\d+)`)

// checkRequests looks at how the server answered the encoder, which itself looks
// at few answers.
func (c *channel) checkRequests(t *testing.T, s *server) {
	t.Helper()
	count := map[string]int{}
	u, err := url.Parse(c.objects() + "/" + path.Dir(c.manifest) + "/")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range requestPattern.FindAllStringSubmatch(s.log.String(), -1) {
		if strings.HasPrefix(m[2], u.Path) {
			count[m[1]+" "+m[3]]++
		}
	}
	for outcome, n := range count {
		asked := c.endpoint != c.objects() && strings.HasSuffix(outcome, " 401")
		if !asked && !strings.HasSuffix(outcome, " 200") {
			t.Errorf("%d times the answer was %q", n, outcome)
		}
	}
	if count["PUT 200"]+count["POST 200"] == 0 || count["DELETE 200"] == 0 {
		t.Errorf("the answers were %v", count)
	}
}

// wantFollowed reads a segment of the DASH channel while ffmpeg is uploading it,
// to its end, and once more when it is complete.
func wantFollowed(t *testing.T, endpoint string) {
	t.Helper()
	var begun *http.Response
	eventually(t, "a segment is read while it is uploaded", func() bool {
		res, err := http.Get(endpoint + "/dash/" + nextSegment(t, endpoint))
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK || res.ContentLength >= 0 {
			res.Body.Close()
			return false
		}
		begun = res
		return true
	})
	defer begun.Body.Close()
	if diff := cmp.Diff([]string{"chunked"}, begun.TransferEncoding); diff != "" {
		t.Errorf("Transfer-Encoding (-want +got):\n%s", diff)
	}
	followed, err := io.ReadAll(begun.Body)
	if err != nil {
		t.Fatal(err)
	}
	status, header, whole := do(t, http.MethodGet, begun.Request.URL.String(), nil)
	if status != http.StatusOK || !bytes.Equal(followed, whole) || header.Get("ETag") != begun.Header.Get("ETag") {
		t.Errorf("%d: %d bytes were followed, %d are there; ETag %s, then %s",
			status, len(followed), len(whole), begun.Header.Get("ETag"), header.Get("ETag"))
	}
	if want := fmt.Sprint(len(whole)); header.Get("Content-Length") != want {
		t.Errorf("Content-Length is %q, want %s", header.Get("Content-Length"), want)
	}
}

// nextSegment names the video segment after the last one that is listed.
func nextSegment(t *testing.T, endpoint string) string {
	t.Helper()
	last := 0
	for _, name := range listNames(t, endpoint, "dash") {
		var n int
		if _, err := fmt.Sscanf(name, "chunk-stream0-%d.m4s", &n); err == nil {
			last = max(last, n)
		}
	}
	return fmt.Sprintf("chunk-stream0-%05d.m4s", last+1)
}

// listTypes returns the names in a folder and the content types by suffix.
func listTypes(t *testing.T, endpoint, folder string) (names []string, types map[string]string) {
	t.Helper()
	var page struct {
		Items []struct{ Name, ContentType string }
	}
	status, _, body := do(t, http.MethodGet, endpoint+"/?Path="+folder, nil)
	if err := json.Unmarshal(body, &page); status != http.StatusOK || err != nil {
		t.Fatalf("ListItems: %d %s", status, body)
	}
	types = map[string]string{}
	for _, item := range page.Items {
		names = append(names, item.Name)
		types[path.Ext(item.Name)] = item.ContentType
	}
	return names, types
}

// site is the web site with the players' pages, on an origin of its own.
type site struct{ URL string }

func newSite(t *testing.T) *site {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("node/pages")))
	mux.Handle("/dist/", http.StripPrefix("/dist/", http.FileServer(http.Dir("node/node_modules"))))
	mux.HandleFunc("/time", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return &site{URL: s.URL}
}

// admit gives a container the CORS policy that players on the site need.
func (p *site) admit(t *testing.T, s *server, name string) {
	t.Helper()
	input := `{"ContainerName":"` + name + `","CorsPolicy":[{"AllowedOrigins":["` + p.URL + `"],` +
		`"AllowedMethods":["GET","HEAD"],"AllowedHeaders":["*"],"ExposeHeaders":["Content-Range"],"MaxAgeSeconds":3000}]}`
	if status, body := control(t, s.URL, "PutCorsPolicy", input); status != http.StatusOK {
		t.Fatalf("PutCorsPolicy: %d %s", status, body)
	}
}

// playback is what play.mjs tells of a page.
type playback struct {
	Fatal    string   // what the player gave up on
	Error    string   // of the video element
	Start    float64  // seconds: where the player began, or went on after a seek
	Time     float64  // seconds: where it is now
	Played   float64  // seconds between the two
	Width    int      // of the picture
	Frames   int      // that were decoded
	Paused   bool     //
	Segments int      // different ones that were fetched
	Console  []string // errors in the browser's console
	Failed   []string // requests without an answer
}

// play opens an address in the browser until enough was played or the player
// gives up.
func play(t *testing.T, args ...string) playback {
	t.Helper()
	p, err := tryPlay(args...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tryPlay is play for any goroutine.
func tryPlay(args ...string) (p playback, err error) {
	cmd := exec.Command("node", append([]string{"play.mjs"}, args...)...)
	cmd.Dir = "node"
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil {
		err = fmt.Errorf("play.mjs: %w\n%s\n%s", err, out, stderr.String())
	}
	return p, err
}

// wantPlayed holds that ten seconds were played without a break.
func (p *playback) wantPlayed(t *testing.T) {
	t.Helper()
	if p.Fatal != "" || p.Error != "" || p.Paused || p.Played < 10 || p.Width == 0 || p.Frames < 200 || p.Segments < 5 {
		t.Errorf("it did not play: %+v", *p)
	}
}

func (p *site) address(page, src string) string {
	return p.URL + "/" + page + "?src=" + url.QueryEscape(src)
}

// plays is a parallel subtest in which the page plays a stream.
func (p *site) plays(t *testing.T, page, src string) {
	t.Run(page, func(t *testing.T) {
		t.Parallel()
		got := play(t, p.address(page, src))
		got.wantPlayed(t)
	})
}

// fails is a parallel subtest in which the browser keeps a stream from the page.
func (p *site) fails(t *testing.T, page, src string) {
	t.Run(page, func(t *testing.T) {
		t.Parallel()
		got := play(t, p.address(page, src))
		if got.Fatal == "" || got.Played > 0 || !strings.Contains(strings.Join(got.Console, "\n"), "CORS") {
			t.Errorf("it should have failed for want of a CORS policy: %+v", got)
		}
	})
}

// -screenshot takes the picture of the player in the documentation anew.
var screenshot = flag.Bool("screenshot", false, "write docs/images/player.png")

var watchPattern = regexp.MustCompile(`Watch\s+(http\S+)`)

// TestDemo watches the demo's channel on the built-in player at the address that
// the demo prints.
func TestDemo(t *testing.T) {
	temp := t.TempDir()
	cmd := exec.Command(binary, "demo", "--listen", "127.0.0.1:0")
	cmd.Env = append(cleanEnv(), "TMPDIR="+temp)
	var log syncBuffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }() // in vain when all goes well

	printed, address := bufio.NewScanner(out), ""
	for address == "" && printed.Scan() {
		if m := watchPattern.FindStringSubmatch(printed.Text()); m != nil {
			address = m[1]
		}
	}
	if address == "" {
		t.Fatalf("the demo printed no address to watch at\n%s", log.String())
	}
	args := []string{address}
	if *screenshot {
		args = append(args, "../../docs/images/player.png")
	}
	got := play(t, args...)
	got.wantPlayed(t)
	if len(got.Console)+len(got.Failed) > 0 {
		t.Errorf("the browser complains: %q, %q", got.Console, got.Failed)
	}

	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for printed.Scan() { // Wait may close the pipe only when it is read
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v\n%s", err, log.String())
	}
	wantEmpty(t, temp)
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if len(names) > 0 {
		t.Errorf("the demo left %s behind", strings.Join(names, ", "))
	}
}
