// Package awstest stands in for AWS services in tests: a server that refuses what
// is not signed for its service, and hands what is to the test.
//
// The signature is checked by our own verifier, which shares no code with the SDK
// that signs. The package must not know what the services do.
package awstest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"headwater/internal/sigv4"
)

// The credentials that requests must be signed with, and the region that they
// must be signed for.
const (
	AccessKey = "AKIDAWSTEST000000000"
	SecretKey = "awstest-secret-key-that-nobody-else-has"
	Region    = "eu-central-1"
)

// Call is a request whose signature was right.
type Call struct {
	*http.Request
	Body []byte
}

// Handler answers a call with a status, a content type and a body.
type Handler func(Call) (status int, contentType, body string)

// Serve starts a server for one service, by its signing name, and returns its URL.
// It ends with the test. A request that is not signed right is answered 403 and
// fails the test.
func Serve(t testing.TB, service string, handle Handler) string {
	t.Helper()
	keys := sigv4.NewKeyCache(16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verify(r, body, service, keys)
		}
		if err != nil {
			t.Errorf("a request to %s is refused: %v", service, err)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		status, contentType, answer := handle(Call{r, body})
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// verify holds the signature against everything it must cover, the body included.
func verify(r *http.Request, body []byte, service string, keys *sigv4.KeyCache) error {
	sig, signed, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	if !signed || sig.AccessKey != AccessKey {
		return errNotSigned
	}
	if err := sig.CheckScope(Region, service); err != nil {
		return err
	}
	if err := sig.CheckTime(time.Now()); err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	return sig.Verify(r, SecretKey, hex.EncodeToString(sum[:]), keys)
}

var errNotSigned = errors.New("it is not signed with the test's key")

// SetCredentials makes the SDK's default chain find the credentials.
func SetCredentials(t testing.TB) {
	t.Setenv("AWS_ACCESS_KEY_ID", AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", SecretKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	t.Setenv("AWS_REGION", Region)
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}
