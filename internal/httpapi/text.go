package httpapi

import (
	"io"
	"net/http"

	"headwater/internal/mediastore"
)

// BasicChallenge asks who sent no credentials for some (RFC 7617).
const BasicChallenge = `Basic realm="headwater", charset="UTF-8"`

// TextErrors answers errors in plain text, as the edges do whose readers are
// people. The table is the edge's own.
type TextErrors struct {
	Statuses map[mediastore.Kind]int // other kinds are internal errors
	Allow    string                  // the methods there are
}

// Write is an ErrorWriter.
func (t *TextErrors) Write(w *Response, _ *http.Request, err error) {
	status, ok := t.Statuses[mediastore.KindOf(err)]
	if !ok {
		status, err = http.StatusInternalServerError, nil
	}
	h := w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", BasicChallenge)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", t.Allow)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", "5")
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, Message(err, w.ID)+"\n")
}
