package mediastore

import (
	"errors"
	"fmt"
)

// Kind says what went wrong, in terms of the domain. Engines and services
// return kinds; only an edge knows which status and code a kind becomes.
type Kind uint8

// The closed list of kinds. KindInternal is the zero value on purpose: an error
// that nobody classified is internal, and its detail stays in the log.
const (
	KindInternal Kind = iota
	KindInvalid
	KindContainerNotFound
	KindContainerInUse
	KindObjectNotFound
	KindPolicyNotFound
	KindCorsPolicyNotFound
	KindLimitExceeded
	KindRangeNotSatisfiable
	KindPreconditionFailed
	KindNotModified
	KindBadDigest
	KindTooLarge
	KindTimeout
	KindIncompleteBody
	KindAccessDenied
	KindMissingAuthentication
	KindIncompleteSignature
	KindInvalidSignature
	KindUnknownKey
	KindExpiredToken
	KindRequestExpired
	KindMethodNotAllowed
	KindThrottled
	KindUnavailable
	KindStorageFull
	kindEnd
)

var kindNames = [...]string{
	KindInternal:              "internal",
	KindInvalid:               "invalid",
	KindContainerNotFound:     "container not found",
	KindContainerInUse:        "container in use",
	KindObjectNotFound:        "object not found",
	KindPolicyNotFound:        "policy not found",
	KindCorsPolicyNotFound:    "CORS policy not found",
	KindLimitExceeded:         "limit exceeded",
	KindRangeNotSatisfiable:   "range not satisfiable",
	KindPreconditionFailed:    "precondition failed",
	KindNotModified:           "not modified",
	KindBadDigest:             "bad digest",
	KindTooLarge:              "too large",
	KindTimeout:               "timeout",
	KindIncompleteBody:        "incomplete body",
	KindAccessDenied:          "access denied",
	KindMissingAuthentication: "missing authentication",
	KindIncompleteSignature:   "incomplete signature",
	KindInvalidSignature:      "invalid signature",
	KindUnknownKey:            "unknown access key",
	KindExpiredToken:          "expired token",
	KindRequestExpired:        "request expired",
	KindMethodNotAllowed:      "method not allowed",
	KindThrottled:             "throttled",
	KindUnavailable:           "unavailable",
	KindStorageFull:           "storage full",
}

// String returns the kind in words, for logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Kinds returns every kind there is, so that an edge can prove in a test that
// its table covers the list.
func Kinds() []Kind {
	all := make([]Kind, kindEnd)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Error is the only error type that crosses a room's border.
type Error struct {
	// Op is what was being done, for the log ("logstore.commit"); often empty.
	Op string
	// Kind decides how the error is answered.
	Kind Kind
	// Field names the place in the request or document that broke a rule, in
	// the wire's spelling ("corsPolicy.1.member.allowedOrigins",
	// "Policy: Statement[0].Effect"). Empty when no single place is to blame.
	Field string
	// Message is for the client: what is wrong, and which rule says so.
	Message string
	// Err is the cause, for the log only. It never reaches a client.
	Err error
}

// Error renders everything that is known, for logs.
func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Field != "" {
		s += ": " + e.Field
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Public is the text a client may read: the message, led by the field when
// there is one.
func (e *Error) Public() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Errorf makes an Error of the given kind with a message for the client.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes a KindInvalid error that blames field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Kind: KindInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first Error in err's chain, or KindInternal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// IsKind reports whether err is of the given kind. A nil error is of none.
func IsKind(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
