package httpapi

import (
	"errors"
	"unicode/utf8"

	"headwater/internal/mediastore"
)

// maxMessage is how many characters of an error message go on the wire
// (ErrorMessage in both models).
const maxMessage = 255

// Message returns what a client may read of err. The detail of an internal error
// stays in the log, which has the request ID too.
func Message(err error, requestID string) string {
	var e *mediastore.Error
	if !errors.As(err, &e) || e.Kind == mediastore.KindInternal || e.Public() == "" {
		return "Internal error. Request ID: " + requestID
	}
	return Limit(e.Public())
}

// Limit cuts a message to what the wire allows.
func Limit(s string) string {
	if utf8.RuneCountInString(s) <= maxMessage {
		return s
	}
	return string([]rune(s)[:maxMessage])
}

// ErrorBody is the body of an error on both planes.
type ErrorBody struct {
	Type    string `json:"__type"`
	Message string
}
