// Package sigv4 verifies AWS Signature Version 4 on the server's side, in the
// Authorization header and in a presigned query.
//
// It is a pure rule: a request, a secret and a time in, a verdict out. It reads
// no body, has no clock, and must not know which keys exist, what a caller may
// do, or what a request means.
//
// The verifier is its own and not an official signer run backwards. A signer
// chooses what it signs (the Go ones leave out user-agent and expect, for
// instance), so a request from a client that chose differently could never be
// verified; and one signer writes one canonical form, while clients in the field
// write several for the same request (see canonicalPaths).
//
// The rules are those of "Create a signed AWS API request" in the IAM User
// Guide.
package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"headwater/internal/mediastore"
)

const (
	algorithm       = "AWS4-HMAC-SHA256"
	terminator      = "aws4_request"
	unsignedPayload = "UNSIGNED-PAYLOAD"
	emptyHash       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing

	dateFormat = "20060102T150405Z" // ISO 8601 basic
	dayLength  = len("20060102")
)

// Names as error messages spell them. As headers they are the same without
// regard to case.
const (
	fieldAuthorization = "Authorization"
	fieldAlgorithm     = "X-Amz-Algorithm"
	fieldCredential    = "Credential"
	fieldSignedHeaders = "SignedHeaders"
	fieldSignature     = "Signature"
	fieldDate          = "X-Amz-Date"
	fieldExpires       = "X-Amz-Expires"
	fieldContentSHA256 = "x-amz-content-sha256"
	fieldToken         = "x-amz-security-token"
)

// Headers in net/http's spelling, which finds them without making a string.
const (
	headerContentSHA256 = "X-Amz-Content-Sha256"
	headerToken         = "X-Amz-Security-Token"
)

// Bounds on what is hashed for a caller who is not known yet.
const (
	maxAuthorization = 4 << 10   // bytes in the Authorization header
	maxPath          = 4 << 10   // bytes in the path, percent-encoded
	maxQuery         = 4 << 10   // bytes in the query
	maxSignedHeaders = 64        // names in SignedHeaders
	maxSignedBytes   = 16 << 10  // bytes in the values of signed headers
	maxHashed        = 512 << 10 // bytes in all the forms of a request that are tried
)

// Signature is what a request says about its signature. Nothing in it is to be
// believed before Verify returned nil.
type Signature struct {
	AccessKey    string
	SessionToken string // empty for long-term credentials

	// PayloadHash stands for the body in what was signed: the declared SHA-256
	// in hexadecimal, UNSIGNED-PAYLOAD, or the SHA-256 of an empty body. It is
	// empty when NeedsBody.
	PayloadHash string

	scope         scope
	signedHeaders []string
	mac           [sha256.Size]byte
	time          time.Time     // UTC
	expires       time.Duration // 0 unless presigned
}

// scope is what a signing key is good for.
type scope struct{ date, region, service string }

func (s scope) String() string {
	return s.date + "/" + s.region + "/" + s.service + "/" + terminator
}

// parts are the pieces of a signature as they were sent.
type parts struct{ credential, signedHeaders, signature string }

func (s *Signature) presigned() bool { return s.expires > 0 }

// NeedsBody reports that the signature covers a body whose hash was not
// declared: only the SHA-256 of the whole body decides.
func (s *Signature) NeedsBody() bool { return s.PayloadHash == "" }

// Parse reads the signature that r carries. It returns false when r has neither
// an Authorization header of this scheme nor an X-Amz-Algorithm in the query.
//
// Errors are KindIncompleteSignature with the part that is missing or malformed
// in Field; KindInvalid for x-amz-content-sha256 and for requests that are too
// large to be verified; KindInvalidSignature for a signed header that the
// request does not carry.
func Parse(r *http.Request) (*Signature, bool, error) {
	authorization := r.Header.Get(fieldAuthorization)
	inHeader := strings.HasPrefix(authorization, "AWS4-")
	inQuery := isPresigned(r.URL.RawQuery)
	if !inHeader && !inQuery {
		return nil, false, nil
	}
	if inHeader && inQuery {
		return nil, false, incomplete(fieldAuthorization, "the request is signed in the header and in the query: only one is allowed")
	}
	if len(r.URL.EscapedPath()) > maxPath || len(r.URL.RawQuery) > maxQuery {
		return nil, false, mediastore.Invalid("URI", "a signed request has at most %d bytes of path and %d of query", maxPath, maxQuery)
	}
	parse := parseHeader
	if inQuery {
		parse = parseQuery
	}
	s, err := parse(r)
	if err != nil {
		return nil, false, err
	}
	return s, true, nil
}

// isPresigned looks for the parameter's name as it is: all of its characters are
// unreserved, so no client percent-encodes it.
func isPresigned(query string) bool {
	return strings.HasPrefix(query, fieldAlgorithm+"=") || strings.Contains(query, "&"+fieldAlgorithm+"=")
}

func parseHeader(r *http.Request) (*Signature, error) {
	p, err := splitAuthorization(r.Header.Get(fieldAuthorization))
	if err != nil {
		return nil, err
	}
	s := &Signature{SessionToken: r.Header.Get(headerToken)}
	if err := s.setParts(r, p); err != nil {
		return nil, err
	}
	date := r.Header.Get(fieldDate)
	if date == "" {
		date = r.Header.Get("Date")
	}
	if s.time, err = parseDate(date); err != nil {
		return nil, err
	}
	if err := s.requireSigned(r); err != nil {
		return nil, err
	}
	s.PayloadHash = r.Header.Get(headerContentSHA256)
	if s.PayloadHash == "" && r.ContentLength == 0 { // a server's request has no body then
		s.PayloadHash = emptyHash
	}
	if s.NeedsBody() {
		return s, nil
	}
	return s, checkPayloadHash(s.PayloadHash)
}

// splitAuthorization takes the header apart:
//
//	AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…
func splitAuthorization(header string) (p parts, err error) {
	if len(header) > maxAuthorization {
		return p, incomplete(fieldAuthorization, "must be at most %d bytes long", maxAuthorization)
	}
	scheme, rest, _ := strings.Cut(header, " ")
	if err := checkAlgorithm(fieldAuthorization, scheme); err != nil {
		return p, err
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		field := p.field(name)
		if field == nil || *field != "" {
			return p, incomplete(fieldAuthorization, "must have Credential, SignedHeaders and Signature once each, and nothing else")
		}
		*field = value
	}
	return p, nil
}

func (p *parts) field(name string) *string {
	switch name {
	case fieldCredential:
		return &p.credential
	case fieldSignedHeaders:
		return &p.signedHeaders
	case fieldSignature:
		return &p.signature
	}
	return nil
}

func checkAlgorithm(field, name string) error {
	switch name {
	case algorithm:
		return nil
	case "AWS4-ECDSA-P256-SHA256":
		return incomplete(field, "Signature Version 4A (%s) is not supported: sign with %s", name, algorithm)
	}
	return incomplete(field, "the algorithm must be %s", algorithm)
}

func parseQuery(r *http.Request) (*Signature, error) {
	query, err := authParams(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if err := checkAlgorithm(fieldAlgorithm, query["x-amz-algorithm"]); err != nil {
		return nil, err
	}
	s := &Signature{SessionToken: query[fieldToken]}
	p := parts{query["x-amz-credential"], query["x-amz-signedheaders"], query["x-amz-signature"]}
	if err := s.setParts(r, p); err != nil {
		return nil, err
	}
	if s.time, err = parseDate(query["x-amz-date"]); err != nil {
		return nil, err
	}
	if s.expires, err = parseExpires(query["x-amz-expires"]); err != nil {
		return nil, err
	}
	s.PayloadHash = query[fieldContentSHA256]
	if s.PayloadHash == "" && s.signs(fieldContentSHA256) {
		s.PayloadHash = r.Header.Get(headerContentSHA256)
	}
	if s.PayloadHash == "" {
		s.PayloadHash = unsignedPayload
	}
	return s, checkPayloadHash(s.PayloadHash)
}

func (s *Signature) setParts(r *http.Request, p parts) (err error) {
	if err := s.setCredential(p.credential); err != nil {
		return err
	}
	if s.signedHeaders, err = parseSignedHeaders(p.signedHeaders); err != nil {
		return err
	}
	if err := s.checkCarried(r); err != nil {
		return err
	}
	if len(p.signature) != hex.EncodedLen(len(s.mac)) {
		return incomplete(fieldSignature, "must be %d hexadecimal digits", hex.EncodedLen(len(s.mac)))
	}
	if _, err := hex.Decode(s.mac[:], []byte(p.signature)); err != nil {
		return incomplete(fieldSignature, "must be hexadecimal digits")
	}
	return nil
}

func (s *Signature) setCredential(credential string) error {
	f := strings.Split(credential, "/")
	if len(f) != 5 || f[0] == "" || f[4] != terminator {
		return incomplete(fieldCredential, "must be <access key ID>/<YYYYMMDD>/<region>/<service>/%s", terminator)
	}
	s.AccessKey = f[0]
	s.scope = scope{date: f[1], region: f[2], service: f[3]}
	return nil
}

func incomplete(field, format string, args ...any) error {
	err := mediastore.Errorf(mediastore.KindIncompleteSignature, format, args...)
	err.Field = field
	return err
}

func refused(format string, args ...any) error {
	return mediastore.Errorf(mediastore.KindInvalidSignature, format, args...)
}
