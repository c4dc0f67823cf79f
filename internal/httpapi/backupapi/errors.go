package backupapi

import (
	"io"
	"net/http"

	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

// statuses is this edge's table. Other kinds are internal errors.
var statuses = map[mediastore.Kind]int{
	mediastore.KindInvalid:               http.StatusBadRequest,
	mediastore.KindMissingAuthentication: http.StatusUnauthorized,
	mediastore.KindAccessDenied:          http.StatusForbidden,
	mediastore.KindIncompleteSignature:   http.StatusForbidden,
	mediastore.KindInvalidSignature:      http.StatusForbidden,
	mediastore.KindUnknownKey:            http.StatusForbidden,
	mediastore.KindExpiredToken:          http.StatusForbidden,
	mediastore.KindRequestExpired:        http.StatusForbidden,
	mediastore.KindObjectNotFound:        http.StatusNotFound,
	mediastore.KindMethodNotAllowed:      http.StatusMethodNotAllowed,
	mediastore.KindThrottled:             http.StatusTooManyRequests,
	mediastore.KindUnavailable:           http.StatusServiceUnavailable,
	mediastore.KindStorageFull:           http.StatusInsufficientStorage,
}

// WriteError answers a request with an error. Who sent no credentials is told how
// to (RFC 7617).
func WriteError(w *httpapi.Response, _ *http.Request, err error) {
	status, ok := statuses[mediastore.KindOf(err)]
	if !ok {
		status, err = http.StatusInternalServerError, nil
	}
	h := w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Basic realm="headwater", charset="UTF-8"`)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD, POST, DELETE")
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", "5")
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, httpapi.Message(err, w.ID)+"\n")
}
