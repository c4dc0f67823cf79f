package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v2 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	v1credentials "github.com/aws/aws-sdk-go/aws/credentials"
	v1 "github.com/aws/aws-sdk-go/aws/signer/v4"
)

var signedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// signers are the official ones, each as a function that signs r with body and
// returns what is to be sent. Single says that the path is not encoded again.
var signers = map[string]func(r *http.Request, body []byte, single bool) (*http.Request, error){
	"v2 header": func(r *http.Request, body []byte, single bool) (*http.Request, error) {
		hash := r.Header.Get(fieldContentSHA256)
		if hash == "" {
			hash = hexSum(body)
		}
		err := v2.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret},
			r, hash, "mediastore", testRegion, signedAt, v2Single(single))
		return r, err
	},
	"v2 presigned": func(r *http.Request, _ []byte, single bool) (*http.Request, error) {
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&X-Amz-Expires=60", "&")
		r.Header.Del(fieldContentSHA256)
		uri, headers, err := v2.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret},
			r, unsignedPayload, "mediastore", testRegion, signedAt, v2Single(single))
		if err != nil {
			return nil, err
		}
		r.URL, err = url.Parse(uri)
		r.Header = headers
		r.Header.Del("Host")
		return r, err
	},
	"v1 header": func(r *http.Request, body []byte, single bool) (*http.Request, error) {
		_, err := v1Signer(single).Sign(r, bytes.NewReader(body), "mediastore", testRegion, signedAt)
		return r, err
	},
	"v1 presigned": func(r *http.Request, _ []byte, single bool) (*http.Request, error) {
		r.Header.Del(fieldContentSHA256)
		headers, err := v1Signer(single).Presign(r, nil, "mediastore", testRegion, time.Minute, signedAt)
		for name, values := range headers { // in lower case
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
		for name := range r.Header {
			if _, ok := headers[strings.ToLower(name)]; !ok {
				r.Header.Del(name)
			}
		}
		return r, err
	},
}

func v2Single(single bool) func(*v2.SignerOptions) {
	return func(o *v2.SignerOptions) { o.DisableURIPathEscaping = single }
}

func v1Signer(single bool) *v1.Signer {
	return v1.NewSigner(v1credentials.NewStaticCredentials(testKey, testSecret, ""), func(s *v1.Signer) {
		s.DisableURIPathEscaping = single
		s.DisableRequestBodyOverwrite = true
	})
}

func TestAgainstOfficialSigners(t *testing.T) {
	for name, sign := range signers {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			cache := NewKeyCache(16)
			for i := range 500 {
				r, body := randomRequest(random)
				signed, err := sign(r, body, i%2 == 0)
				if err != nil {
					t.Fatal(err)
				}
				text := wireText(t, signed, body)
				if err := check(received(t, text), testSecret, cache); err != nil {
					t.Fatalf("request %d: %v\n%s", i, err, text)
				}
				checkTampering(t, text, cache)
			}
		})
	}
}

// A proxy or a library on the way may add or drop the default port.
func TestDefaultPort(t *testing.T) {
	for _, hosts := range [][2]string{{"a.example", "a.example:80"}, {"a.example", "a.example:443"}, {"a.example:443", "a.example"}} {
		r, err := http.NewRequest(http.MethodGet, "http://"+hosts[0]+"/a/b.ts", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := signers["v2 header"](r, nil, false); err != nil {
			t.Fatal(err)
		}
		got := received(t, wireText(t, r, nil))
		got.Host = hosts[1]
		if err := check(got, testSecret, nil); err != nil {
			t.Errorf("signed for %s, received for %s: %v", hosts[0], hosts[1], err)
		}
	}
}

// wireText sends r into a string.
func wireText(t *testing.T, r *http.Request, body []byte) string {
	t.Helper()
	r.Body = io.NopCloser(bytes.NewReader(body))
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	if err := r.Write(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkTampering changes one thing after the other in a request that was
// verified, and wants each to be noticed.
func checkTampering(t *testing.T, text string, cache *KeyCache) {
	t.Helper()
	changes := map[string]func(r *http.Request, s *Signature){
		"method":          func(r *http.Request, _ *Signature) { r.Method += "X" },
		"path":            func(r *http.Request, _ *Signature) { r.URL.Path, r.URL.RawPath = r.URL.Path+"x", "" },
		"query":           func(r *http.Request, _ *Signature) { r.URL.RawQuery += "&x=y" },
		"query value":     func(r *http.Request, _ *Signature) { r.URL.RawQuery = "x" + r.URL.RawQuery },
		"host":            func(r *http.Request, _ *Signature) { r.Host += "x" },
		"payload hash":    func(_ *http.Request, s *Signature) { s.PayloadHash = hexSum([]byte("another body")) },
		"time":            func(_ *http.Request, s *Signature) { s.time = s.time.Add(time.Second) },
		"region":          func(_ *http.Request, s *Signature) { s.scope.region += "x" },
		"service":         func(_ *http.Request, s *Signature) { s.scope.service += "x" },
		"day":             func(_ *http.Request, s *Signature) { s.scope.date += "x" },
		"signed headers":  func(_ *http.Request, s *Signature) { s.signedHeaders = append(s.signedHeaders, "zz") },
		"signature":       func(_ *http.Request, s *Signature) { s.mac[31] ^= 1 },
		"a signed header": changeSignedHeader,
	}
	for what, change := range changes {
		r := received(t, text)
		s, _, err := Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		if s.NeedsBody() {
			body, _ := io.ReadAll(r.Body)
			s.PayloadHash = hexSum(body)
		}
		change(r, s)
		if err := s.Verify(r, testSecret, s.PayloadHash, cache); err == nil {
			t.Fatalf("changed %s, and it was verified:\n%s", what, text)
		}
	}
	if err := check(received(t, text), testSecret+"x", cache); err == nil {
		t.Fatalf("verified with a wrong secret:\n%s", text)
	}
}

// changeSignedHeader changes a header other than host, when one is signed.
func changeSignedHeader(r *http.Request, s *Signature) {
	i := slices.IndexFunc(s.signedHeaders, func(name string) bool { return name != "host" && name != "content-length" })
	if i < 0 {
		r.Host += "x"
		return
	}
	values := r.Header.Values(s.signedHeaders[i])
	values[0] += "x"
}

func randomRequest(random *rand.Rand) (*http.Request, []byte) {
	u := &url.URL{Scheme: "http", Host: pick(random, "a.example", "a.example:80", "127.0.0.1:8080", "[::1]:8080"), Path: "/"}
	for range random.IntN(5) {
		u.Path += randomText(random, "abcXYZ019-_.~=:+ %é", 8) + pick(random, "/", "//", "")
	}
	if random.IntN(2) == 0 {
		u.RawPath = escape(u.Path, "/") // as the SDKs write it
	}
	query := url.Values{}
	for range random.IntN(4) {
		query.Add(randomText(random, "abAB-_./ ", 3)+"k", randomText(random, "ab01/+-=& ~%é;", 6))
	}
	u.RawQuery = query.Encode()

	var body []byte
	if random.IntN(2) == 0 {
		body = []byte(randomText(random, "body", 9) + "!")
	}
	r := &http.Request{Method: pick(random, "GET", "PUT", "POST", "DELETE", "HEAD"), URL: u, Header: http.Header{}, ContentLength: int64(len(body))}
	addRandomHeaders(random, r, body)
	return r, body
}

func addRandomHeaders(random *rand.Rand, r *http.Request, body []byte) {
	for i := range random.IntN(4) {
		name := pick(random, "X-Custom", "X-Amz-Meta-A", "Cache-Control", "Content-Type", "X-Amz-Storage-Class", "Range")
		r.Header.Add(name, fmt.Sprintf("%d%s", i, randomText(random, `ab  ,="/`, 9)))
	}
	switch random.IntN(3) {
	case 0:
		r.Header.Set(fieldContentSHA256, hexSum(body))
	case 1:
		r.Header.Set(fieldContentSHA256, unsignedPayload)
	}
}

func pick(random *rand.Rand, from ...string) string { return from[random.IntN(len(from))] }

func randomText(random *rand.Rand, alphabet string, limit int) string {
	letters := []rune(alphabet)
	text := make([]rune, random.IntN(limit))
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return string(text)
}
