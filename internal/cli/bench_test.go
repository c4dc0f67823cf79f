package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/loadtest"
)

// benchServer is the real server, with its root user's key in the environment.
func benchServer(t *testing.T) (url string) {
	t.Helper()
	p := start(t, "serve", "--listen", "127.0.0.1:0", "--engine", "memory")
	printed := p.waitFor(`ready at (\S+) (?s:.*)AWS_ACCESS_KEY_ID=(\S+)\n.*AWS_SECRET_ACCESS_KEY='(.*)'\n`)
	t.Setenv("AWS_ACCESS_KEY_ID", printed[2])
	t.Setenv("AWS_SECRET_ACCESS_KEY", printed[3])
	t.Cleanup(func() { p.stop() })
	return printed[1]
}

func TestBench(t *testing.T) {
	url := benchServer(t)
	// Each run makes the container anew, so the one before has deleted it, which
	// it could only when it was empty.
	for _, flags := range [][]string{{}, {"--chunked"}, {"--basic"}} {
		args := append([]string{
			"bench", "--create", "bench", "--json", "--channels", "1", "--renditions", "2", "--readers", "2",
			"--speed", "20", "--duration", "2s", "--timeout", "1m", url,
		}, flags...)
		got := run(t, nil, args...)
		var report loadtest.Report
		err := json.Unmarshal([]byte(got.Stdout), &report)
		if got.Code != exitOK || got.Stderr != "" || err != nil {
			t.Fatalf("%v: %v, %+v", flags, err, got)
		}
		if report.Errors() > 0 || report.Published == 0 || report.Leftovers > 0 {
			t.Errorf("%v: %+v", flags, report)
		}
	}
}

// The run ends with the second request: the first has been counted then.
func TestBenchFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 2 {
			cancel()
		}
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		http.Error(w, "not you"+r.Header.Get("Authorization"), http.StatusForbidden)
	}))
	defer server.Close()
	var stdout, stderr bytes.Buffer
	code := Main(ctx, Process{Stdout: &stdout, Stderr: &stderr, Args: []string{
		"bench", "--anonymous", "--channels=1", "--renditions=1", "--segment-duration=10ms", "--duration=1h", server.URL,
	}})
	if code != exitFailure || stderr.String() != "headwater: the test failed\n" {
		t.Errorf("code %d, %q", code, stderr.String())
	}
	for _, want := range []string{
		"1 x put segment: 403 AccessDeniedException\n      first: 403 AccessDeniedException not you\n",
		"\nFAILED: 0 requests in ",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in:\n%s", want, stdout.String())
		}
	}
}

func TestBenchUsage(t *testing.T) {
	const endpoint = "http://127.0.0.1:1/abcdefghijklmn"
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "bench needs one endpoint, such as http://127.0.0.1:8484/abcdefghijklmn"},
		{[]string{"127.0.0.1:8484"}, "the endpoint must be an http or https URL, such as http://127.0.0.1:8484/abcdefghijklmn"},
		{[]string{endpoint, "--channels", "0"}, "--channels must be from 1 to 1000"},
		{[]string{endpoint, "--speed", "NaN"}, "--speed must be from 0 to 1000"},
		{[]string{endpoint, "--duration", "-1s"}, "--duration must be from 10ms to 1000h0m0s"},
		{[]string{endpoint, "--readers", "99999"}, "--channels, --renditions and --readers come to 2000000 clients: at most 100000 are possible"},
		{[]string{endpoint, "--basic", "--anonymous"}, "--basic and --anonymous exclude each other"},
		{[]string{endpoint, "--create", "x", "--anonymous"}, "--create needs credentials, and --anonymous sends none"},
	} {
		want := result{exitUsage, "", "headwater: " + test.want + "; see headwater bench --help\n"}
		if diff := cmp.Diff(want, run(t, nil, append([]string{"bench"}, test.args...)...)); diff != "" {
			t.Errorf("%v:\n%s", test.args, diff)
		}
	}
}

func TestBenchProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stderr bytes.Buffer
		b := &benching{Process: Process{Stderr: &stderr}}
		stop := b.showProgress(loadtest.New(loadtest.Config{Now: time.Now}))
		time.Sleep(25 * time.Second)
		stop()
		line := "0s  0 req/s  0.0 MB/s  0 errors  p99 0 ms\n"
		if diff := cmp.Diff(line+line, stderr.String()); diff != "" {
			t.Error(diff)
		}
	})
}
