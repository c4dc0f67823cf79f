// Package opsapi is the edge for operators: what lies below /-/.
//
// It must not know an operation of MediaStore. Nothing here needs credentials,
// so nothing here may tell what is stored.
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
	// Player answers below /-/player/.
	Player http.Handler
}

// readyTimeout bounds a readiness check: one that hangs is a failed one.
const readyTimeout = 5 * time.Second

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/-/player/") {
		a.Player.ServeHTTP(w, r)
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
		text(w, http.StatusNotFound, "there is nothing here; there is /-/live, /-/ready and /-/player/")
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
