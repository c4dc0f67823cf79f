package sigv4

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"headwater/internal/mediastore"
)

// FuzzVerify puts any request through all of the package. It must neither panic
// nor be verified, since nobody knows the secret; and nothing but the
// vocabulary's errors may come out.
func FuzzVerify(f *testing.F) {
	for _, text := range goldens(f) {
		f.Add(text)
	}
	f.Add(presigned("", ""))
	f.Add(signedHash(unsignedPayload))
	f.Add(request("GET //a%3d/./b?b&a=%2f+", goodHost, goodDate, goodAuth))
	cache := NewKeyCache(4)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		s, signed, err := Parse(r)
		if err != nil {
			if kind := mediastore.KindOf(err); kind == mediastore.KindInternal {
				t.Fatalf("an unclassified error: %v", err)
			}
			return
		}
		if signed != (s != nil) {
			t.Fatalf("signed is %v, and the signature is %v", signed, s)
		}
		if signed {
			exercise(t, r, s, cache)
		}
	})
}

func exercise(t *testing.T, r *http.Request, s *Signature, cache *KeyCache) {
	hash := s.PayloadHash
	if s.NeedsBody() {
		hash = emptyHash
	}
	if err := s.Verify(r, "a secret that signed nothing", hash, cache); !mediastore.IsKind(err, mediastore.KindInvalidSignature) {
		t.Fatalf("verified, or refused for another reason: %v", err)
	}
	if err := s.CheckTime(time.Unix(0, 0)); err == nil && s.time.Year() > 2000 {
		t.Fatal("a request was in time long before it was signed")
	}
	forms := slices.Collect(s.forms(r, hash))
	if len(forms) == 0 || len(forms) > 96 {
		t.Fatalf("%d canonical forms", len(forms))
	}
	// Escaping triples a path or query, and a path is escaped twice.
	limit := 9*maxPath + 3*maxQuery + 2*maxSignedBytes + maxAuthorization + len(r.Method)
	if size := len(s.appendCanonical(nil, r, forms[0], "")); size > limit {
		t.Fatalf("a canonical request of %d bytes", size)
	}
}
