package opsapi

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"headwater/internal/access"
	"headwater/internal/httpapi"
)

func TestGuard(t *testing.T) {
	authority := access.New(access.Config{Account: "111122223333", Region: "us-west-2", Root: access.Key{ID: "AKIDROOT", Secret: "secret"}, Now: time.Now})
	behind := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the names of all containers") })
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	guarded := &API{Ready: always, Metrics: adapter.Wrap("operations", Guard(authority, "headwater:ReadMetrics", behind), WriteError)}
	for _, test := range []struct {
		name      string
		sign      func(*http.Request)
		status    int
		challenge bool
	}{
		{"root", func(r *http.Request) { r.SetBasicAuth("AKIDROOT", "secret") }, 200, false},
		{"nobody", func(*http.Request) {}, 401, true},
		{"a wrong secret", func(r *http.Request) { r.SetBasicAuth("AKIDROOT", "x") }, 403, false},
		{"an unknown key", func(r *http.Request) { r.SetBasicAuth("AKIDNOBODY", "secret") }, 403, false},
		{"another scheme", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 403, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/-/metrics", nil)
		test.sign(r)
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		leaked := strings.Contains(w.Body.String(), "containers") && test.status != 200
		if w.Code != test.status || leaked || (w.Header().Get("WWW-Authenticate") != "") != test.challenge {
			t.Errorf("%s: %d %q %v", test.name, w.Code, w.Body, w.Header())
		}
	}
}

func TestGuardHidesWhatBroke(t *testing.T) {
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	broken := func(*httpapi.Response, *http.Request) error { return errors.New("the disk /dev/sda1 is gone") }
	w := httptest.NewRecorder()
	adapter.Wrap("operations", broken, WriteError).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/-/metrics", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "sda1") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// TestNothingWhereNothingIs: a listener of operators' own has no player.
func TestNothingWhereNothingIs(t *testing.T) {
	api := &API{Ready: always, Metrics: http.NotFoundHandler()}
	for _, path := range []string{"/-/player/", "/-/events"} {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "there is nothing here") {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
}
