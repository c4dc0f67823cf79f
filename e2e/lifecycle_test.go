package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rule is one rule of a lifecycle policy: rule("EXPIRE", "wildcard", "*.ts",
// "seconds", ">", 10).
func rule(action, kind, path, unit, operator string, age int) string {
	return fmt.Sprintf(`{"definition":{"path":[{%q:%q}],"%s_since_create":[{"numeric":[%q,%d]}]},"action":%q}`,
		kind, path, unit, operator, age, action)
}

func seconds(path, operator string, age int) string {
	return rule("EXPIRE", "wildcard", path, "seconds", operator, age)
}

// putLifecycle sets a container's lifecycle policy to rules.
func putLifecycle(t *testing.T, s *server, name string, rules ...string) {
	t.Helper()
	input, err := json.Marshal(map[string]string{"ContainerName": name, "LifecyclePolicy": lifecycle(rules...)})
	if err != nil {
		t.Fatal(err)
	}
	if status, body := control(t, s.URL, "PutLifecyclePolicy", string(input)); status != http.StatusOK {
		t.Fatalf("PutLifecyclePolicy: %d %s", status, body)
	}
}

func lifecycle(rules ...string) string { return `{"rules":[` + strings.Join(rules, ",") + `]}` }

// end is when an object is gone: not before the first moment, and at the second.
type end struct{ first, last time.Time }

// look reads an object and holds the answer against the end. In the moments that
// may be on either side of it, both answers are right. It returns whether there was
// an object.
func (e end) look(t *testing.T, url string) bool {
	t.Helper()
	before := time.Now()
	status, _, _ := do(t, http.MethodGet, url, nil, "Range", "bytes=0-0")
	after := time.Now()
	switch {
	case status != http.StatusPartialContent && status != http.StatusNotFound:
		t.Errorf("%s: %d", url, status)
	case status == http.StatusNotFound && after.Before(e.first):
		t.Errorf("%s is gone %v before its end", url, e.first.Sub(after))
	case status != http.StatusNotFound && !before.Before(e.last):
		t.Errorf("%s is there %v after its end", url, before.Sub(e.last))
	}
	return status != http.StatusNotFound
}

// diskUse returns the bytes that the file system has given to files below a
// directory, which may come and go.
func diskUse(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				sum += 512 * info.Sys().(*syscall.Stat_t).Blocks
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func (s *server) volumes() string { return filepath.Join(s.Data, "store", "volumes") }

// liveWindow is a channel whose segments nobody deletes: a rule makes them expire.
type liveWindow struct {
	t       *testing.T
	s       *server
	channel *channel
	folder  string // URL

	segments map[string]segment // by name
	disk     []int64            // bytes, at each look
	there    int                // looks at a segment that found it
	gone     int                // and that found none
}

// segment is what the access log says of the upload of one.
type segment struct {
	size int64 // bytes
	end  time.Time
}

// TestLiveWindow publishes a channel of 10 Mbit/s for a minute, with a rule of ten
// seconds, and looks at it all the time.
func TestLiveWindow(t *testing.T) {
	t.Parallel() // it waits
	page := newSite(t)
	w := newLiveWindow(t, page)
	began := time.Now()
	w.lookUntil(func() bool { return time.Since(began) > 25*time.Second })

	var played playback
	var playing error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		played, playing = tryPlay("--enough=30", page.address("hls.html", w.channel.address()))
	}()
	defer func() { <-ended }()
	w.lookUntil(func() bool {
		select {
		case <-ended:
			return time.Since(began) > time.Minute
		default:
			return false
		}
	})

	if playing != nil {
		t.Fatal(playing)
	}
	if played.wantPlayed(t); played.Played < 30 {
		t.Errorf("only %v s were played: %+v", played.Played, played)
	}
	w.wantFlat()
	if err := w.channel.stop(); err != nil {
		t.Errorf("ffmpeg: %v", err)
	}
	w.channel.checkLog(t)
	if w.there < 100 || w.gone < 100 || len(w.segments) < 25 {
		t.Errorf("of %d segments %d were found and %d not: this has not tested much", len(w.segments), w.there, w.gone)
	}
	t.Logf("%d segments; %d looks found one, %d none; %+v", len(w.segments), w.there, w.gone, played)
}

func newLiveWindow(t *testing.T, page *site) *liveWindow {
	t.Helper()
	s := start(t)
	endpoint := publicContainer(t, s, "live", anyoneReads)
	page.admit(t, s, "live")
	putLifecycle(t, s, "live", seconds("*.m4s", ">", 10))
	if status, body := control(t, s.URL, "StartAccessLogging", `{"ContainerName":"live"}`); status != http.StatusOK {
		t.Fatalf("StartAccessLogging: %d %s", status, body)
	}
	c := &channel{
		endpoint: strings.Replace(endpoint, "//", "//"+accessKey+":"+secretKey+"@", 1),
		manifest: "news/index.m3u8",
		options: []string{
			"-vf", "noise=alls=100:allf=t", "-b:v", "10M", "-maxrate", "10M", "-bufsize", "10M",
			"-f", "hls", "-hls_time", "2", "-hls_list_size", "4", "-hls_segment_type", "fmp4",
			"-hls_fmp4_init_filename", "init.mp4", "-method", "PUT", "-http_persistent", "1",
		},
	}
	c.publish(t)
	eventually(t, "there is a manifest", func() bool { status, _ := get(t, c.address()); return status == http.StatusOK })
	return &liveWindow{t: t, s: s, channel: c, folder: endpoint + "/news/"}
}

func (w *liveWindow) lookUntil(enough func() bool) {
	w.t.Helper()
	for !enough() {
		w.look()
		time.Sleep(250 * time.Millisecond)
	}
}

// look looks at every segment that there ever was, the listing and the disk.
func (w *liveWindow) look() {
	w.t.Helper()
	w.segments = w.stored()
	for name, segment := range w.segments {
		// The log rounds down to milliseconds.
		if (end{segment.end, segment.end.Add(time.Millisecond)}).look(w.t, w.folder+name) {
			w.there++
		} else {
			w.gone++
		}
	}
	if diff := cmp.Diff([]string{"index.m3u8", "init.mp4"}, listNames(w.t, w.channel.objects(), "news")); diff != "" {
		w.t.Errorf("the listing (-want +got):\n%s", diff)
	}
	w.disk = append(w.disk, diskUse(w.t, w.s.volumes()))
}

// stored reads in the access log which segments were stored.
func (w *liveWindow) stored() map[string]segment {
	w.t.Helper()
	f, err := os.Open(filepath.Join(w.s.Data, "logs", "access.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	found := map[string]segment{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r struct {
			Path, Operation string
			HTTPStatus      int
			BytesReceived   int64
			ExpiresAt       *time.Time
		}
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // the last line may not be whole yet
		}
		name := strings.TrimPrefix(r.Path, "/news/")
		if r.Operation != "PutObject" || r.HTTPStatus != http.StatusOK {
			continue
		}
		if strings.HasSuffix(name, ".m4s") != (r.ExpiresAt != nil) {
			w.t.Errorf("the access log: %s", lines.Bytes())
		}
		if r.ExpiresAt != nil {
			found[name] = segment{r.BytesReceived, *r.ExpiresAt}
		}
	}
	return found
}

// wantFlat holds that disk use does not grow: with a leak it would be twice as much
// in the end as after half of the time, and as much as was ever stored.
func (w *liveWindow) wantFlat() {
	w.t.Helper()
	var all, live int64
	for _, segment := range w.segments {
		all += segment.size
		if segment.end.After(time.Now()) {
			live += segment.size
		}
	}
	first, second := slices.Max(w.disk[:len(w.disk)/2]), slices.Max(w.disk[len(w.disk)/2:])
	numbers := fmt.Sprintf("of %d bytes that were stored %d live; on the disk were at most %d, then %d", all, live, first, second)
	w.t.Log(numbers)
	if second > first*3/2 || second > all/2 {
		w.t.Error("that is not flat")
	}
}

// fetch gets a URL with curl, as the root user, and returns the status and body.
func fetch(t *testing.T, url string, args ...string) (status int, body string) {
	t.Helper()
	args = append([]string{"-s", "-S", "-u", accessKey + ":" + secretKey, "-w", "\n%{http_code}", url}, args...)
	out, err := exec.Command("curl", args...).Output()
	if err != nil {
		t.Fatalf("curl %s: %v", url, err)
	}
	i := strings.LastIndex(string(out), "\n")
	if status, err = strconv.Atoi(string(out[i+1:])); err != nil {
		t.Fatal(err)
	}
	return status, string(out[:i])
}

// container makes a container by the CLI and returns its endpoint.
func (c *awsCLI) container(t *testing.T, name string) string {
	t.Helper()
	c.control("create-container", "--container-name", name).ok(t)
	return activeContainer(t, c, name)["Endpoint"].(string)
}

func (c *awsCLI) putLifecycle(t *testing.T, name string, rules ...string) {
	t.Helper()
	c.control("put-lifecycle-policy", "--container-name", name, "--lifecycle-policy", lifecycle(rules...)).void(t)
}

func (c *awsCLI) put(t *testing.T, endpoint, path string) {
	t.Helper()
	cliPut(t, c.data(endpoint, "put-object", "--path", path, "--body", "body"), "body")
}

// untilGone waits until there is no object any more.
func untilGone(t *testing.T, url string) {
	t.Helper()
	eventually(t, url+" is gone", func() bool { status, _ := fetch(t, url); return status == http.StatusNotFound })
}

// TestTransientRuleForReal has rules in seconds carried out, as clients of the
// service use them.
func TestTransientRuleForReal(t *testing.T) {
	t.Parallel() // it waits
	w := watch(t, start(t))
	c := newCLI(t, w.URL)
	t.Run("an object expires", func(t *testing.T) { testExpiry(t, c) })
	t.Run("what has expired is nothing", func(t *testing.T) { testExpiredIsNothing(t, c) })
	t.Run("a policy is changed", func(t *testing.T) { testPolicyChanges(t, c) })
	w.wantSeen("GetObject ObjectNotFoundException", "DescribeObject ObjectNotFoundException", "DeleteObject ObjectNotFoundException")
}

func testExpiry(t *testing.T, c *awsCLI) {
	const path = "news/1.m4s"
	endpoint := c.container(t, "live")
	c.putLifecycle(t, "live", seconds("news/*.m4s", ">", 1))
	wantReadUntilItExpires(t, c, endpoint, path)
	untilGone(t, endpoint+"/"+path)
	c.data(endpoint, "describe-object", "--path", path).fails(t, "ObjectNotFoundException")
	c.data(endpoint, "delete-object", "--path", path).fails(t, "ObjectNotFoundException")
	c.data(endpoint, "list-items").prints(t, jsonObject{"Items": jsonArray{}})
	wantReadUntilItExpires(t, c, endpoint, path) // it can be stored again
}

// wantReadUntilItExpires stores an object that lives for two seconds until it was
// read in time, which may need more than one try on a machine that is busy.
func wantReadUntilItExpires(t *testing.T, c *awsCLI, endpoint, path string) {
	t.Helper()
	eventually(t, "the object is read before it expires", func() bool {
		before := time.Now()
		c.put(t, endpoint, path)
		if listed := listNames(t, endpoint, ""); len(listed) > 0 {
			t.Errorf("it is listed: %q", listed)
		}
		status, body := fetch(t, endpoint+"/"+path)
		if took := time.Since(before); status != http.StatusOK && took < 2*time.Second {
			t.Errorf("%d within %v", status, took)
		}
		return status == http.StatusOK && body == "body"
	})
}

// testExpiredIsNothing deletes a container at the moment in which all that it holds
// has expired, and nobody has swept it yet.
func testExpiredIsNothing(t *testing.T, c *awsCLI) {
	endpoint := c.container(t, "brief")
	c.putLifecycle(t, "brief", seconds("*", ">", 1))
	for i := range 50 {
		putObject(t, endpoint, fmt.Sprintf("folder/%d.m4s", i), "a segment")
	}
	eventually(t, "the last one is gone", func() bool {
		return rawCall(t, "HEAD", endpoint, "folder/49.m4s", "").Status == http.StatusNotFound
	})
	if status, body := control(t, c.url, "DeleteContainer", `{"ContainerName":"brief"}`); status != http.StatusOK {
		t.Errorf("DeleteContainer: %d %s", status, body)
	}
}

// testPolicyChanges: an object keeps the end that it was stored with.
func testPolicyChanges(t *testing.T, c *awsCLI) {
	endpoint := c.container(t, "changing")
	c.put(t, endpoint, "without")
	c.putLifecycle(t, "changing", seconds("*", ">", 300))
	c.put(t, endpoint, "long")
	c.putLifecycle(t, "changing", seconds("*", ">", 1))
	c.put(t, endpoint, "short")
	c.control("delete-lifecycle-policy", "--container-name", "changing").void(t)
	c.put(t, endpoint, "after")
	stored := time.Now()
	untilGone(t, endpoint+"/short")
	time.Sleep(time.Until(stored.Add(3 * time.Second))) // what is there now stays
	for _, path := range []string{"without", "long", "after"} {
		if status, body := fetch(t, endpoint+"/"+path); status != http.StatusOK || body != "body" {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	if diff := cmp.Diff([]string{"after", "without"}, listNames(t, endpoint, "")); diff != "" {
		t.Errorf("the listing (-want +got):\n%s", diff)
	}
}

// TestExpiryAcrossARestart kills the server before an object expires.
func TestExpiryAcrossARestart(t *testing.T) {
	t.Parallel() // it waits
	s := start(t)
	id := strings.TrimPrefix(container(t, s.URL, "live"), s.URL)
	putLifecycle(t, s, "live", seconds("*.m4s", ">=", 5))
	size := 3 << 20
	before := time.Now()
	putObject(t, s.URL+id, "1.m4s", strings.Repeat("x", size))
	e := end{before.Add(5 * time.Second), time.Now().Add(5 * time.Second)}
	s.kill()
	if used := diskUse(t, s.volumes()); used < int64(size) {
		t.Errorf("an object of %d bytes uses %d", size, used)
	}

	s = startIn(t, s.Data)
	eventually(t, "the object is gone", func() bool { return !e.look(t, s.URL+id+"/1.m4s") })
	eventually(t, "its bytes are, too", func() bool { return diskUse(t, s.volumes()) < 1<<20 })
	for range 3 {
		if e.look(t, s.URL+id+"/1.m4s") {
			t.Error("it is back")
		}
	}
}

// TestDaysRule removes what is too old: its event is told, and folders vanish.
func TestDaysRule(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	var old, young []aged
	for i := range 30 {
		old = append(old, aged{fmt.Sprintf("old/%d/%d.ts", i%3, i), 40 << 10, 40}, aged{fmt.Sprintf("both/%d.m3u8", i), 100, 29})
		young = append(young, aged{fmt.Sprintf("both/y%d.m3u8", i), 100, 28}, aged{fmt.Sprintf("young/%d.ts", i), 40 << 10, 10})
	}
	writeStore(t, data, old)
	writeStore(t, data, young)
	s := startIn(t, data)
	w := watch(t, s)
	endpoint := w.URL + "/" + agedID
	before := diskUse(t, s.volumes())
	newCLI(t, w.URL).putLifecycle(t, agedName, rule("EXPIRE", "prefix", "", "days", ">", 28))

	want := pathsOf(young)
	eventually(t, "what is old is gone", func() bool { return len(tree(t, endpoint, "")) == len(want) })
	if diff := cmp.Diff(want, tree(t, endpoint, "")); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"both/", "young/"}, listNames(t, endpoint, "")); diff != "" {
		t.Errorf("folders (-want +got):\n%s", diff)
	}
	for _, o := range old {
		rawCall(t, "HEAD", endpoint, o.path, "").is(t, "HEAD "+o.path, http.StatusNotFound, "")
	}
	for _, o := range young {
		rawCall(t, "GET", endpoint, o.path, "").is(t, "GET "+o.path, http.StatusOK, o.body())
	}
	if diff := cmp.Diff(timesEach(pathsOf(old), 1), removals(t, s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	eventually(t, "the bytes are reclaimed", func() bool { return diskUse(t, s.volumes()) < before*3/4 })
}

// TestASweepGoesOnAfterAKill: each object is removed once, whatever happens in the
// meantime.
func TestASweepGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	var old []aged
	for i := range 900 {
		old = append(old, aged{fmt.Sprintf("old/%03d.m3u8", i), 100, 40})
	}
	writeStore(t, data, old)
	s := startIn(t, data, "--sweep-rate", "60")
	putLifecycle(t, s, agedName, rule("EXPIRE", "prefix", "", "days", ">=", 30))
	left := len(old)
	for range 2 {
		eventually(t, "some are removed", func() bool {
			n := len(listNames(t, s.URL+"/"+agedID, "old"))
			return n < left
		})
		s.kill()
		s = startIn(t, data, "--sweep-rate", "60")
		left = len(listNames(t, s.URL+"/"+agedID, "old"))
		if left == 0 {
			t.Error("all are removed: this has not tested much")
		}
	}
	s.kill()
	s = startIn(t, data)
	eventually(t, "all are removed", func() bool { return len(listNames(t, s.URL+"/"+agedID, "")) == 0 })
	if diff := cmp.Diff(timesEach(pathsOf(old), 1), removals(t, s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func timesEach(paths []string, n int) map[string]int {
	times := map[string]int{}
	for _, path := range paths {
		times[path] = n
	}
	return times
}

// removals counts the REMOVE events of each path that there were until now, as the
// program's own client prints them.
func removals(t *testing.T, s *server) map[string]int {
	t.Helper()
	const sentinel = "the-last-one"
	putObject(t, s.URL+"/"+agedID, sentinel, "")
	cmd := exec.CommandContext(t.Context(), binary, "events", "tail", "--endpoint", s.URL, "--after", "0", "--json")
	cmd.Env = clientEnv(s.URL)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	removed := map[string]int{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var event struct {
			Detail struct{ Operation, Path string }
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if event.Detail.Path == sentinel {
			return removed
		}
		if event.Detail.Operation == "REMOVE" {
			removed[event.Detail.Path]++
		}
	}
	t.Fatalf("the stream ended before its last event; seen: %d paths", len(removed))
	return nil
}
