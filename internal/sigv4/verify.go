package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"net/http"
	"strings"
)

// form is one way in which the client may have written the request down before
// signing it.
type form struct{ host, payloadHash, query, path string }

// Verify decides whether r was signed with secret. PayloadHash is that of the
// Signature or, when NeedsBody, the SHA-256 of the body in hexadecimal. The
// cache may be nil. Any mismatch is a KindInvalidSignature error that does not
// tell where it is.
//
// A request of the common form costs one hash and one MAC. No more than 96 forms
// and maxHashed bytes are tried.
func (s *Signature) Verify(r *http.Request, secret, payloadHash string, cache *KeyCache) error {
	key := cache.signingKey(secret, s.scope)
	prefix := algorithm + "\n" + s.time.Format(dateFormat) + "\n" + s.scope.String() + "\n"
	signedHeaders := strings.Join(s.signedHeaders, ";")
	scratch := make([]byte, 0, 1<<10)
	hashed := 0
	for f := range s.forms(r, payloadHash) {
		scratch = s.appendCanonical(scratch[:0], r, f, signedHeaders)
		if hashed += len(scratch); hashed > maxHashed {
			break
		}
		sum := sha256.Sum256(scratch)
		scratch = append(scratch[:0], prefix...)
		scratch = hex.AppendEncode(scratch, sum[:])
		if mac := sign(key, scratch); hmac.Equal(mac[:], s.mac[:]) {
			return nil
		}
	}
	return refused("The signature does not match the request: check the secret access key and how the request is signed")
}

// forms yields the most likely form first.
func (s *Signature) forms(r *http.Request, payloadHash string) iter.Seq[form] {
	hashes := []string{payloadHash}
	if s.presigned() && payloadHash == unsignedPayload {
		// botocore presigns for services other than S3 as if the body were empty.
		hashes = append(hashes, emptyHash)
	}
	queries, paths := canonicalQueries(r.URL.RawQuery, s.presigned()), canonicalPaths(r.URL)
	return func(yield func(form) bool) {
		for _, host := range hostForms(r.Host) {
			for _, hash := range hashes {
				for _, query := range queries {
					for _, path := range paths {
						if !yield(form{host, hash, query, path}) {
							return
						}
					}
				}
			}
		}
	}
}

// appendCanonical writes the canonical request.
func (s *Signature) appendCanonical(b []byte, r *http.Request, f form, signedHeaders string) []byte {
	for _, line := range [...]string{r.Method, f.path, f.query} {
		b = append(b, line...)
		b = append(b, '\n')
	}
	for _, name := range s.signedHeaders {
		if name == "host" {
			b = appendHeader(b, name, []string{f.host})
		} else {
			b = appendHeader(b, name, headerValues(r, name))
		}
	}
	b = append(b, '\n')
	b = append(b, signedHeaders...)
	b = append(b, '\n')
	return append(b, f.payloadHash...)
}

func sign[T ~string | ~[]byte](key [sha256.Size]byte, message T) (mac [sha256.Size]byte) {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte(message))
	h.Sum(mac[:0])
	return mac
}
