package controlapi

import (
	"errors"
	"net/http"

	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

// answer is a status and a code. Codes of client errors that the model does not
// declare are those that all AWS JSON services share.
type answer struct {
	status int
	code   string
}

// answers is this edge's table. Kinds that the control plane cannot meet are
// internal errors: meeting one is a defect.
var answers = map[mediastore.Kind]answer{
	mediastore.KindInvalid:               {http.StatusBadRequest, "ValidationException"},
	mediastore.KindContainerNotFound:     {http.StatusBadRequest, "ContainerNotFoundException"},
	mediastore.KindContainerInUse:        {http.StatusBadRequest, "ContainerInUseException"},
	mediastore.KindPolicyNotFound:        {http.StatusBadRequest, "PolicyNotFoundException"},
	mediastore.KindCorsPolicyNotFound:    {http.StatusBadRequest, "CorsPolicyNotFoundException"},
	mediastore.KindLimitExceeded:         {http.StatusBadRequest, "LimitExceededException"},
	mediastore.KindTooLarge:              {http.StatusBadRequest, "ValidationException"},
	mediastore.KindBadDigest:             {http.StatusBadRequest, "ValidationException"},
	mediastore.KindIncompleteBody:        {http.StatusBadRequest, "SerializationException"},
	mediastore.KindThrottled:             {http.StatusBadRequest, "ThrottlingException"},
	mediastore.KindAccessDenied:          {http.StatusForbidden, "AccessDeniedException"},
	mediastore.KindMissingAuthentication: {http.StatusForbidden, "MissingAuthenticationTokenException"},
	mediastore.KindIncompleteSignature:   {http.StatusForbidden, "IncompleteSignatureException"},
	mediastore.KindInvalidSignature:      {http.StatusForbidden, "InvalidSignatureException"},
	mediastore.KindUnknownKey:            {http.StatusForbidden, "UnrecognizedClientException"},
	mediastore.KindExpiredToken:          {http.StatusForbidden, "ExpiredTokenException"},
	mediastore.KindRequestExpired:        {http.StatusForbidden, "RequestExpired"},
	mediastore.KindUnavailable:           {http.StatusServiceUnavailable, "ServiceUnavailableException"},
	mediastore.KindStorageFull:           {http.StatusInsufficientStorage, "InsufficientStorageException"},
}

var internal = answer{http.StatusInternalServerError, "InternalServerError"}

// classify returns the answer to err and the message that goes with it.
func classify(err error, requestID string) (answer, string) {
	var unknown *unknownOperation
	if errors.As(err, &unknown) {
		return answer{http.StatusBadRequest, "UnknownOperationException"}, httpapi.Limit(unknown.Error())
	}
	var wrong *serializationError
	if errors.As(err, &wrong) {
		return answer{http.StatusBadRequest, "SerializationException"}, httpapi.Limit(wrong.Error())
	}
	a, ok := answers[mediastore.KindOf(err)]
	if !ok {
		return internal, httpapi.Message(nil, requestID)
	}
	return a, httpapi.Message(err, requestID)
}

// WriteError answers a request with an error.
func WriteError(w *httpapi.Response, _ *http.Request, err error) {
	a, message := classify(err, w.ID)
	w.Header()["x-amzn-ErrorType"] = []string{a.code}
	if a.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	// The client is gone when this fails; there is nobody to tell.
	_ = write(w, a.status, httpapi.ErrorBody{Type: a.code, Message: message})
}
