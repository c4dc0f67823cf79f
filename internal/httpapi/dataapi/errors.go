package dataapi

import (
	"net/http"

	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

// answer is a status and a code.
type answer struct {
	status int
	code   string
}

// answers is this edge's table. The codes that the model does not declare are
// listed, with their reasons, in docs/compatibility.md. Kinds that the data
// plane cannot meet are internal errors: meeting one is a defect.
var answers = map[mediastore.Kind]answer{
	mediastore.KindInvalid:               {http.StatusBadRequest, "ValidationException"},
	mediastore.KindContainerNotFound:     {http.StatusNotFound, "ContainerNotFoundException"},
	mediastore.KindObjectNotFound:        {http.StatusNotFound, "ObjectNotFoundException"},
	mediastore.KindRangeNotSatisfiable:   {http.StatusRequestedRangeNotSatisfiable, "RequestedRangeNotSatisfiableException"},
	mediastore.KindPreconditionFailed:    {http.StatusPreconditionFailed, "PreconditionFailedException"},
	mediastore.KindNotModified:           {http.StatusNotModified, ""},
	mediastore.KindBadDigest:             {http.StatusBadRequest, "BadDigestException"},
	mediastore.KindTooLarge:              {http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException"},
	mediastore.KindTimeout:               {http.StatusRequestTimeout, "RequestTimeoutException"},
	mediastore.KindIncompleteBody:        {http.StatusBadRequest, "IncompleteBodyException"},
	mediastore.KindAccessDenied:          {http.StatusForbidden, "AccessDeniedException"},
	mediastore.KindMissingAuthentication: {http.StatusForbidden, "MissingAuthenticationTokenException"},
	mediastore.KindIncompleteSignature:   {http.StatusForbidden, "IncompleteSignatureException"},
	mediastore.KindInvalidSignature:      {http.StatusForbidden, "InvalidSignatureException"},
	mediastore.KindUnknownKey:            {http.StatusForbidden, "UnrecognizedClientException"},
	mediastore.KindExpiredToken:          {http.StatusForbidden, "ExpiredTokenException"},
	mediastore.KindRequestExpired:        {http.StatusForbidden, "RequestExpired"},
	mediastore.KindMethodNotAllowed:      {http.StatusMethodNotAllowed, "MethodNotAllowedException"},
	mediastore.KindThrottled:             {http.StatusTooManyRequests, "ThrottlingException"},
	mediastore.KindUnavailable:           {http.StatusServiceUnavailable, "ServiceUnavailableException"},
	mediastore.KindStorageFull:           {http.StatusInsufficientStorage, "InsufficientStorageException"},
}

var internal = answer{http.StatusInternalServerError, "InternalServerError"}

// WriteError answers a request with an error. An answer to HEAD has no body, so
// the code is in a header too.
func WriteError(w *httpapi.Response, r *http.Request, err error) {
	a, ok := answers[mediastore.KindOf(err)]
	if !ok {
		a, err = internal, nil
	}
	if a.status == http.StatusNotModified {
		w.WriteHeader(a.status)
		return
	}
	h := w.Header()
	dropRepresentation(h)
	h["x-amzn-ErrorType"] = []string{a.code}
	switch {
	case a.status == http.StatusForbidden && h.Get("WWW-Authenticate") != "":
		a.status = http.StatusUnauthorized
	case a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests:
		h.Set("Retry-After", "1")
	}
	// The client is gone when this fails; there is nobody to tell.
	_ = writeJSON(w, a.status, httpapi.ErrorBody{Type: a.code, Message: httpapi.Message(err, w.ID)})
}

// dropRepresentation takes back the headers of an object that is not sent after
// all.
func dropRepresentation(h http.Header) {
	for _, name := range []string{"Cache-Control", "Content-Length", "Etag", "Last-Modified", "Accept-Ranges", "X-Amz-Storage-Class"} {
		h.Del(name)
	}
}
