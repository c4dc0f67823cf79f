// Package opsapi is the edge for operators: what lies below /-/.
//
// It must not know an operation of MediaStore. What tells of the containers there
// are is behind Guard, or on a listener that only operators reach; nothing else
// needs credentials.
package opsapi

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// API is the edge. All fields are required.
type API struct {
	// Ready reports why the server cannot take requests, or nil.
	Ready func(ctx context.Context) error
	// Metrics answers at /-/metrics.
	Metrics http.Handler
	// Events answers at /-/events, Player below /-/player/, and Checkpoints at
	// /-/checkpoints and below. Nil is nothing there.
	Events      http.Handler
	Player      http.Handler
	Checkpoints http.Handler
}

// readyTimeout bounds a readiness check: one that hangs is a failed one.
const readyTimeout = 5 * time.Second

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if page := a.page(r.URL.Path); page != nil {
		page.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		text(w, http.StatusMethodNotAllowed, "the method must be GET or HEAD")
		return
	}
	switch r.URL.Path {
	case "/-/live":
		text(w, http.StatusOK, "live")
	case "/-/ready":
		a.ready(w, r)
	default:
		text(w, http.StatusNotFound, "there is nothing here; there is /-/live, /-/ready, /-/metrics, /-/events and /-/player/")
	}
}

// page returns what answers all by itself at a path, or nil.
func (a *API) page(path string) http.Handler {
	switch {
	case path == "/-/metrics":
		return a.Metrics
	case path == "/-/events":
		return a.Events
	case strings.HasPrefix(path, "/-/player/"):
		return a.Player
	case path == "/-/checkpoints" || strings.HasPrefix(path, "/-/checkpoints/"):
		return a.Checkpoints
	default:
		return nil
	}
}

func (a *API) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := a.Ready(ctx); err != nil {
		w.Header().Set("Retry-After", "1")
		text(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	text(w, http.StatusOK, "ready")
}

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, s+"\n")
}
