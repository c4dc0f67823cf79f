package opsapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// ask sends a request to an edge whose server is ready as ready says.
func ask(t *testing.T, ready func(context.Context) error, method, path string) (*http.Response, string) {
	t.Helper()
	api := &API{
		Ready:  ready,
		Player: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "player "+r.URL.Path) }),
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result(), w.Body.String()
}

func always(context.Context) error { return nil }

func never(context.Context) error { return errors.New("the disk /dev/sda1 is gone") }

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		ready        func(context.Context) error
		method, path string
		status       int
		body         string
	}{
		{always, "GET", "/-/live", 200, "live\n"},
		{never, "GET", "/-/live", 200, "live\n"}, // to restart it would not help
		{always, "HEAD", "/-/live", 200, "live\n"},
		{always, "GET", "/-/ready", 200, "ready\n"},
		{always, "HEAD", "/-/ready", 200, "ready\n"},
		{never, "GET", "/-/ready", 503, "not ready\n"}, // and no word of why, to anybody who asks
		{never, "HEAD", "/-/ready", 503, "not ready\n"},
		{always, "GET", "/-/", 404, ""},
		{always, "GET", "/-/x", 404, ""},
		{always, "GET", "/-/live/", 404, ""},
		{always, "GET", "/-/LIVE", 404, ""},
		{always, "GET", "/-/ready/x", 404, ""},
		{always, "GET", "/-/player", 404, ""},
		{always, "GET", "/-/player/", 200, "player /-/player/"},
		{never, "GET", "/-/player/player.js", 200, "player /-/player/player.js"},
		{always, "POST", "/-/player/", 200, "player /-/player/"}, // what may be asked is its own affair
	} {
		res, body := ask(t, test.ready, test.method, test.path)
		if res.StatusCode != test.status || test.body != "" && body != test.body {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, res.StatusCode, body, test.status, test.body)
		}
	}
}

func TestOnlyReads(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "X"} {
		for _, path := range []string{"/-/live", "/-/ready", "/-/x"} {
			res, _ := ask(t, func(context.Context) error { t.Error("readiness was asked for"); return nil }, method, path)
			if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" { // RFC 9110, section 15.5.6
				t.Errorf("%s %s: %d, Allow: %s", method, path, res.StatusCode, res.Header.Get("Allow"))
			}
		}
	}
}

// TestNothingIsCached: an answer from a cache says nothing about now.
func TestNothingIsCached(t *testing.T) {
	for _, path := range []string{"/-/live", "/-/ready", "/-/x"} {
		for _, ready := range []func(context.Context) error{always, never} {
			res, _ := ask(t, ready, "GET", path)
			if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
			}
		}
	}
	if res, _ := ask(t, never, "GET", "/-/ready"); res.Header.Get("Retry-After") != "1" {
		t.Errorf("503 without Retry-After: %v", res.Header)
	}
}

// TestCheckThatHangs is one that failed, in a time that a probe waits for.
func TestCheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		res, _ := ask(t, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "GET", "/-/ready")
		if took := time.Since(begin); res.StatusCode != http.StatusServiceUnavailable || took != readyTimeout {
			t.Errorf("%d after %v", res.StatusCode, took)
		}
	})
}
