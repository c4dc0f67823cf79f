// Package access decides who is calling and whether they may.
//
// Callers identify themselves by AWS Signature Version 4 (header or presigned
// query), by HTTP Basic with an access key pair, or not at all. What they may do
// follows from being the account's root and from the container policy. It must
// not know what an operation does.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"headwater/internal/mediastore"
	"headwater/internal/policy"
	"headwater/internal/sigv4"
)

// signingName is the service that both planes are signed for.
const signingName = "mediastore"

// Key is an access key pair.
type Key struct{ ID, Secret string }

// LogValue keeps the secret out of logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.ID) }

// Format keeps it out of whatever else is printed.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.ID) }

// Config is what a Service is made of. The time is given in.
type Config struct {
	Account mediastore.AccountID
	Region  string
	Root    Key
	Now     func() time.Time
}

// Service decides.
type Service struct {
	Config
	rootPrincipal policy.Principal
	signingKeys   *sigv4.KeyCache
}

// New returns a service for one account.
func New(config Config) *Service {
	return &Service{
		Config:        config,
		rootPrincipal: policy.Root(string(config.Account)),
		signingKeys:   sigv4.NewKeyCache(1024),
	}
}

// Caller is who sent a request.
type Caller struct {
	Principal   policy.Principal
	Account     mediastore.AccountID // empty for an anonymous caller
	AccessKeyID string               // likewise

	payloadHash []byte // SHA-256 that was declared and signed for the body, or nil
	verifyBody  func([32]byte) error
}

// Anonymous reports whether the caller did not identify itself.
func (c *Caller) Anonymous() bool { return c.Account == "" }

// Unverified says that the signature covers a body that has not been read yet:
// only VerifyBody decides whether the caller is who it says.
func (c *Caller) Unverified() bool { return c.verifyBody != nil }

// VerifyBody holds the SHA-256 of the whole body against what the signature
// covers, and decides what Authenticate could not.
func (c *Caller) VerifyBody(sum [32]byte) error {
	if c.verifyBody != nil {
		return c.verifyBody(sum)
	}
	if c.payloadHash != nil && subtle.ConstantTimeCompare(c.payloadHash, sum[:]) == 0 {
		return mediastore.Errorf(mediastore.KindInvalidSignature, "x-amz-content-sha256 is not the SHA-256 of the body")
	}
	return nil
}

// Authenticate finds out who sent r. A request without credentials has an
// anonymous caller; one with credentials that are not right has none.
//
// A signature may leave the body out (UNSIGNED-PAYLOAD). One that covers a body
// must say with which hash: nothing here reads it.
func (s *Service) Authenticate(r *http.Request) (*Caller, error) {
	caller, err := s.authenticate(r, nil)
	if err == nil && caller.Unverified() {
		return nil, mediastore.Errorf(mediastore.KindInvalidSignature, "x-amz-content-sha256 is missing: the request has a body that its signature covers")
	}
	return caller, err
}

// AuthenticateUpload is Authenticate for a request whose body is an object: its
// hash need not be declared, and then the caller is Unverified until the end of
// the body. Whoever calls this must call VerifyBody before anything of the request
// takes effect or shows.
func (s *Service) AuthenticateUpload(r *http.Request) (*Caller, error) {
	return s.authenticate(r, nil)
}

// AuthenticateBody is Authenticate for a request whose body says what is to be
// done: a signature must cover it. sum is the SHA-256 of the body.
func (s *Service) AuthenticateBody(r *http.Request, sum [32]byte) (*Caller, error) {
	return s.authenticate(r, &sum)
}

func (s *Service) authenticate(r *http.Request, body *[32]byte) (*Caller, error) {
	sig, signed, err := sigv4.Parse(r)
	if err != nil {
		return nil, err
	}
	if signed {
		return s.authenticateSigned(r, sig, body)
	}
	if r.Header.Get("Authorization") == "" {
		return &Caller{Principal: policy.Anonymous()}, nil
	}
	return s.authenticateBasic(r)
}

func (s *Service) authenticateSigned(r *http.Request, sig *sigv4.Signature, body *[32]byte) (*Caller, error) {
	if sig.SessionToken != "" {
		return nil, mediastore.Errorf(mediastore.KindUnknownKey, "The security token is not valid: this server issues no temporary credentials")
	}
	if !equal(sig.AccessKey, s.Root.ID) {
		return nil, errUnknownKey()
	}
	if err := sig.CheckScope(s.Region, signingName); err != nil {
		return nil, err
	}
	if err := sig.CheckTime(s.Now()); err != nil {
		return nil, err
	}
	caller := s.root()
	verify := func(payloadHash string) error {
		return sig.Verify(r, s.Root.Secret, payloadHash, s.signingKeys)
	}
	if body != nil {
		return caller, verify(hex.EncodeToString(body[:]))
	}
	if sig.NeedsBody() {
		caller.verifyBody = func(sum [32]byte) error { return verify(hex.EncodeToString(sum[:])) }
		return caller, nil
	}
	if hash, err := hex.DecodeString(sig.PayloadHash); err == nil && len(hash) == sha256.Size {
		caller.payloadHash = hash
	}
	return caller, verify(sig.PayloadHash)
}

// authenticateBasic is for encoders that cannot sign. Both comparisons always
// happen and take the same time whatever was sent.
func (s *Service) authenticateBasic(r *http.Request) (*Caller, error) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return nil, mediastore.Errorf(mediastore.KindIncompleteSignature, "Authorization: the scheme must be AWS4-HMAC-SHA256, or Basic with an access key pair")
	}
	knownID, rightSecret := equal(id, s.Root.ID), equal(secret, s.Root.Secret)
	switch {
	case !knownID:
		return nil, errUnknownKey()
	case !rightSecret:
		return nil, mediastore.Errorf(mediastore.KindInvalidSignature, "Authorization: the secret does not belong to the access key")
	}
	return s.root(), nil
}

func (s *Service) root() *Caller {
	return &Caller{Principal: s.rootPrincipal, Account: s.Account, AccessKeyID: s.Root.ID}
}

// ClaimedKey returns the access key ID that a request names, whether it is right
// or not; empty when it names none.
func ClaimedKey(r *http.Request) string {
	if sig, signed, err := sigv4.Parse(r); err == nil && signed {
		return sig.AccessKey
	}
	id, _, _ := r.BasicAuth()
	return id
}

func errUnknownKey() error {
	return mediastore.Errorf(mediastore.KindUnknownKey, "The access key ID does not exist")
}

// equal compares in a time that depends on neither string: not on where they
// differ, and by hashing first not on their lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Env is what conditions in a policy can ask about the request.
type Env struct {
	SourceIP  netip.Addr
	Secure    bool
	Referer   string
	UserAgent string
}

// AuthorizeControl decides about the control plane, where only the account's own
// identities are known. Container policies have no say in it, so that nobody can
// lock the root user out.
func (s *Service) AuthorizeControl(c *Caller, action string) error {
	if c.Anonymous() {
		return mediastore.Errorf(mediastore.KindMissingAuthentication, "The request must be signed: it has no credentials")
	}
	return nil // root, the only identity there is
}

// AuthorizeData decides about the data plane. An explicit deny in the container
// policy wins over everything; the account's root needs no allow.
func (s *Service) AuthorizeData(c *Caller, action, resource string, doc *policy.Document, env Env) error {
	effect := policy.ImplicitDeny
	if doc != nil {
		effect = doc.Evaluate(&policy.Request{
			Principal: c.Principal,
			Action:    action,
			Resource:  resource,
			Context: policy.Context{
				SourceIP:        env.SourceIP,
				SecureTransport: env.Secure,
				Referer:         env.Referer,
				UserAgent:       env.UserAgent,
				CurrentTime:     s.Now(),
				RequestedRegion: s.Region,
			},
		}).Effect
	}
	switch {
	case effect == policy.ExplicitDeny:
		return denied(c, action, "with an explicit deny in the container policy")
	case effect == policy.Allow || !c.Anonymous():
		return nil
	default:
		return denied(c, action, "because no container policy allows it")
	}
}

func denied(c *Caller, action, why string) error {
	who := "anonymous"
	if !c.Anonymous() {
		who = c.Principal.ARN
	}
	return mediastore.Errorf(mediastore.KindAccessDenied, "User: %s is not authorized to perform: %s %s", who, action, why)
}
