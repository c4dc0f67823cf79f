package backupapi

import (
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

// WriteError answers a request with an error.
func WriteError(w *httpapi.Response, r *http.Request, err error) {
	text := httpapi.TextErrors{Statuses: statuses, Allow: "GET, HEAD, POST, DELETE"}
	text.Write(w, r, err)
}
