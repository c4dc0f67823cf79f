package opsapi

import (
	"net/http"

	"headwater/internal/access"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

// Guard lets through to next who may take an action.
func Guard(a *access.Service, action string, next http.Handler) httpapi.Handler {
	return func(w *httpapi.Response, r *http.Request) error {
		caller, err := a.Authenticate(r)
		if err != nil {
			return err
		}
		if err := a.AuthorizeControl(caller, action); err != nil {
			return err
		}
		next.ServeHTTP(w, r)
		return nil
	}
}

// WriteError answers a request that Guard has not let through. Who sent no
// credentials is told how to (RFC 7617).
func WriteError(w *httpapi.Response, _ *http.Request, err error) {
	status := http.StatusForbidden
	switch mediastore.KindOf(err) {
	case mediastore.KindMissingAuthentication:
		w.Header().Set("WWW-Authenticate", httpapi.BasicChallenge)
		status = http.StatusUnauthorized
	case mediastore.KindInternal:
		status = http.StatusInternalServerError
	}
	text(w, status, httpapi.Message(err, w.ID))
}
