package player

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// get asks the handler and returns the answer with its body.
func get(t *testing.T, method, target string, header http.Header) (*http.Response, string) {
	t.Helper()
	h, err := Handler()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestServesThePage(t *testing.T) {
	tests := []struct{ target, contentType, begins string }{
		{"/-/player/", "text/html; charset=utf-8", "<!doctype html>"},
		{"/-/player/?src=/abcdefghijklmn/live/index.m3u8", "text/html; charset=utf-8", "<!doctype html>"},
		{"/-/player/index.html", "text/html; charset=utf-8", "<!doctype html>"},
		{"/-/player/player.js", "text/javascript; charset=utf-8", "// The player page"},
		{"/-/player/player.css", "text/css; charset=utf-8", "/* Dark on purpose"},
		{"/-/player/icon.svg", "image/svg+xml", "<svg "},
		{"/-/player/hls-1.7.4.LICENSE.txt", "text/plain; charset=utf-8", "Copyright (c) 2017 Dailymotion"},
	}
	for _, tt := range tests {
		resp, body := get(t, http.MethodGet, tt.target, nil)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", tt.target, resp.StatusCode)
		}
		if got := resp.Header.Get("Content-Type"); got != tt.contentType {
			t.Errorf("%s: Content-Type %q, want %q", tt.target, got, tt.contentType)
		}
		if !strings.HasPrefix(body, tt.begins) {
			t.Errorf("%s: begins with %.40q, want %q", tt.target, body, tt.begins)
		}
	}
}

func TestRefuses(t *testing.T) {
	tests := []struct {
		method, target string
		status         int
	}{
		{http.MethodGet, "/-/player/assets/", http.StatusNotFound},
		{http.MethodGet, "/-/player/player.go", http.StatusNotFound},
		{http.MethodGet, "/-/player/../player.js", http.StatusNotFound},
		{http.MethodGet, "/-/player/player.js/", http.StatusNotFound},
		{http.MethodGet, "/player.js", http.StatusNotFound},
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodPost, "/-/player/", http.StatusMethodNotAllowed},
		{http.MethodPut, "/-/player/player.js", http.StatusMethodNotAllowed},
	}
	for _, tt := range tests {
		resp, body := get(t, tt.method, tt.target, nil)
		if resp.StatusCode != tt.status {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.target, resp.StatusCode, tt.status)
		}
		if strings.Contains(body, "player.css") {
			t.Errorf("%s %s: lists the files: %q", tt.method, tt.target, body)
		}
	}
}

func TestContentSecurityPolicy(t *testing.T) {
	want := map[string]string{
		"default-src":     "'none'",
		"script-src":      "'self'",
		"style-src":       "'self'",
		"img-src":         "'self'",
		"connect-src":     "http: https:",
		"media-src":       "http: https: blob:",
		"worker-src":      "blob:",
		"base-uri":        "'none'",
		"form-action":     "'self'",
		"frame-ancestors": "'self'",
	}
	resp, _ := get(t, http.MethodGet, Prefix, nil)
	got := map[string]string{}
	for directive := range strings.SplitSeq(resp.Header.Get("Content-Security-Policy"), "; ") {
		name, value, _ := strings.Cut(directive, " ")
		got[name] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Content-Security-Policy (-want +got):\n%s", diff)
	}
	if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("X-Content-Type-Options %q", got)
	}
}

// A page with script or style in it would be broken by its own policy.
func TestPageHasNothingInline(t *testing.T) {
	_, body := get(t, http.MethodGet, Prefix, nil)
	for _, banned := range []string{`<style`, `\sstyle=`, `\son\w+=`, `<script[^>]*>[^<]`, `(src|href)="(https?:)?//`} {
		if found := regexp.MustCompile(banned).FindString(body); found != "" {
			t.Errorf("the page has %q, which %s matches", found, banned)
		}
	}
}

// What the page names is there, and nothing is there that has no content type.
func TestPageIsComplete(t *testing.T) {
	_, body := get(t, http.MethodGet, Prefix, nil)
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(links) < 4 {
		t.Fatalf("found only %d links in the page", len(links))
	}
	for _, link := range links {
		if resp, _ := get(t, http.MethodGet, Prefix+strings.TrimPrefix(link[1], "./"), nil); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", link[1], resp.StatusCode)
		}
	}
	entries, err := assets.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if contentTypes[path.Ext(e.Name())] == "" {
			t.Errorf("%s has no content type", e.Name())
		}
	}
}

func TestElementsOfTheScriptAreInThePage(t *testing.T) {
	_, page := get(t, http.MethodGet, Prefix, nil)
	_, script := get(t, http.MethodGet, Prefix+"player.js", nil)
	ids := regexp.MustCompile(`\b(?:el|show|fault)\('([a-z-]+)'`).FindAllStringSubmatch(script, -1)
	if len(ids) < 20 {
		t.Fatalf("found only %d elements in the script", len(ids))
	}
	for _, id := range ids {
		if !strings.Contains(page, `id="`+id[1]+`"`) {
			t.Errorf("the script uses #%s, which the page does not have", id[1])
		}
	}
}

func TestRevalidation(t *testing.T) {
	first, _ := get(t, http.MethodGet, Prefix+"player.js", nil)
	etag := first.Header.Get("ETag")
	if !regexp.MustCompile(`^"[0-9a-f]{32}"$`).MatchString(etag) {
		t.Fatalf("ETag %q", etag)
	}
	if got := first.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control %q", got)
	}
	again, body := get(t, http.MethodGet, Prefix+"player.js", http.Header{"If-None-Match": {etag}})
	if again.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("revalidated: status %d, %d bytes", again.StatusCode, len(body))
	}
	other, _ := get(t, http.MethodGet, Prefix+"player.css", http.Header{"If-None-Match": {etag}})
	if other.StatusCode != http.StatusOK {
		t.Errorf("another file with that ETag: status %d", other.StatusCode)
	}
}

func TestHead(t *testing.T) {
	full, body := get(t, http.MethodGet, Prefix, nil)
	head, none := get(t, http.MethodHead, Prefix, nil)
	if head.StatusCode != http.StatusOK || none != "" {
		t.Errorf("HEAD: status %d, %d bytes", head.StatusCode, len(none))
	}
	if diff := cmp.Diff(full.Header, head.Header); diff != "" {
		t.Errorf("headers of GET and HEAD differ (-GET +HEAD):\n%s", diff)
	}
	if head.ContentLength != int64(len(body)) {
		t.Errorf("Content-Length %d, want %d", head.ContentLength, len(body))
	}
}
