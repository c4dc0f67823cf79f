package access_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"headwater/internal/access"
	"headwater/internal/mediastore"
	"headwater/internal/policy"
)

const (
	account  = "111122223333"
	region   = "us-west-2"
	rootARN  = "arn:aws:iam::111122223333:root"
	secret   = "the/secret+key:with a colon"
	unsigned = "UNSIGNED-PAYLOAD"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func service() *access.Service {
	return access.New(access.Config{
		Account: account,
		Region:  region,
		Root:    access.Key{ID: "AKIDROOT", Secret: secret},
		Now:     func() time.Time { return now },
	})
}

// signing is how a client signs a request. The zero value is completed to what
// the server wants to see.
type signing struct {
	key, secret, token, region, service string
	at                                  time.Time
	hash                                string        // declared in x-amz-content-sha256, when not empty
	signed                              string        // the hash that is signed, when it is another
	expires                             time.Duration // presigned when not 0
}

func (s signing) credentials() aws.Credentials {
	return aws.Credentials{
		AccessKeyID:     or(s.key, "AKIDROOT"),
		SecretAccessKey: or(s.secret, secret),
		SessionToken:    s.token,
	}
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// request signs a PUT of body with the SDK's signer, sends it into a string and
// returns what the server reads from there. Tamper may be nil.
func (s signing) request(t *testing.T, body string, tamper func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPut, "http://origin.example.com:8484/abcdefghijklmn/a/b.ts?x=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if s.hash != "" {
		r.Header.Set("X-Amz-Content-Sha256", s.hash)
	}
	if s.expires == 0 {
		err = v4.NewSigner().SignHTTP(context.Background(), s.credentials(), r, or(or(s.signed, s.hash), sum(body)),
			or(s.service, "mediastore"), or(s.region, region), or(s.at, now))
	} else {
		err = s.presign(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return received(t, r, tamper)
}

func (s signing) presign(r *http.Request) error {
	query := r.URL.Query()
	query.Set("X-Amz-Expires", "60")
	r.URL.RawQuery = query.Encode()
	uri, _, err := v4.NewSigner().PresignHTTP(context.Background(), s.credentials(), r, unsigned,
		or(s.service, "mediastore"), or(s.region, region), or(s.at, now))
	if err == nil {
		r.URL, err = url.Parse(uri)
	}
	return err
}

func received(t *testing.T, r *http.Request, tamper func(*http.Request)) *http.Request {
	t.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	if tamper != nil {
		tamper(got)
	}
	return got
}

func sum(body string) string {
	s := sha256.Sum256([]byte(body))
	return hex.EncodeToString(s[:])
}

func wantRoot(t *testing.T, what string, c *access.Caller, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if c.Anonymous() || c.Account != account || c.Principal.ARN != rootARN {
		t.Errorf("%s: the caller is %+v", what, c)
	}
}

// TestSigned: what is signed right is accepted, and the body is held against as
// much of it as the signature covers.
func TestSigned(t *testing.T) {
	const body = "some bytes"
	for _, test := range []struct {
		name       string
		sign       signing
		body       string
		unverified bool
		another    bool // another body is as good
	}{
		{"declared hash", signing{hash: sum(body)}, body, false, false},
		{"unsigned payload", signing{hash: unsigned}, body, false, true},
		{"hash not declared", signing{}, body, true, false},
		{"no body and no hash", signing{}, "", false, false},
		{"presigned", signing{expires: time.Minute}, body, false, true},
		{"signed 15 minutes ago", signing{hash: unsigned, at: now.Add(-15 * time.Minute)}, body, false, true},
		{"signed in 15 minutes", signing{hash: unsigned, at: now.Add(15 * time.Minute)}, body, false, true},
		{"presigned to the last second", signing{expires: time.Minute, at: now.Add(-time.Minute)}, body, false, true},
	} {
		c, err := service().AuthenticateUpload(test.sign.request(t, test.body, nil))
		wantRoot(t, test.name, c, err)
		if c.Unverified() != test.unverified {
			t.Errorf("%s: unverified %v", test.name, c.Unverified())
		}
		if err := c.VerifyBody(sha256.Sum256([]byte(test.body))); err != nil {
			t.Errorf("%s: the body that was signed: %v", test.name, err)
		}
		err = c.VerifyBody(sha256.Sum256([]byte("other bytes")))
		if test.another != (err == nil) || err != nil && !mediastore.IsKind(err, mediastore.KindInvalidSignature) {
			t.Errorf("%s: another body: %v", test.name, err)
		}
	}
}

func set(header, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(header, value) }
}

func TestSignedRefused(t *testing.T) {
	open := signing{hash: unsigned}
	presigned := signing{expires: time.Minute}
	for _, test := range []struct {
		name   string
		sign   signing
		tamper func(*http.Request)
		want   mediastore.Kind
	}{
		{"unknown key", signing{hash: unsigned, key: "AKIDOTHER"}, nil, mediastore.KindUnknownKey},
		{"key in another case", signing{hash: unsigned, key: "akidroot"}, nil, mediastore.KindUnknownKey},
		{"wrong secret", signing{hash: unsigned, secret: "guess"}, nil, mediastore.KindInvalidSignature},
		{"session token", signing{hash: unsigned, token: "token"}, nil, mediastore.KindUnknownKey},
		{"another region", signing{hash: unsigned, region: "eu-west-1"}, nil, mediastore.KindInvalidSignature},
		{"another service", signing{hash: unsigned, service: "s3"}, nil, mediastore.KindInvalidSignature},
		{"too old", signing{hash: unsigned, at: now.Add(-15*time.Minute - time.Second)}, nil, mediastore.KindRequestExpired},
		{"too new", signing{hash: unsigned, at: now.Add(15*time.Minute + time.Second)}, nil, mediastore.KindRequestExpired},
		{"declared hash is not the signed one", signing{hash: sum("a"), signed: sum("b")}, nil, mediastore.KindInvalidSignature},
		{"another method", open, func(r *http.Request) { r.Method = http.MethodDelete }, mediastore.KindInvalidSignature},
		{"another path", open, func(r *http.Request) { r.URL.Path = "/abcdefghijklmn/a/c.ts" }, mediastore.KindInvalidSignature},
		{"another query", open, func(r *http.Request) { r.URL.RawQuery = "x=2" }, mediastore.KindInvalidSignature},
		{"another host", open, func(r *http.Request) { r.Host = "elsewhere.example.com" }, mediastore.KindInvalidSignature},
		{"hash changed on the way", open, set("X-Amz-Content-Sha256", sum("x")), mediastore.KindInvalidSignature},
		{"garbage", open, set("Authorization", "AWS4-HMAC-SHA256 garbage"), mediastore.KindIncompleteSignature},
		{"another algorithm", open, set("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=x"), mediastore.KindIncompleteSignature},
		{"scope of another day", open, func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/20260301/", "/20260228/", 1))
		}, mediastore.KindInvalidSignature},
		{"no date", open, func(r *http.Request) { r.Header.Del("X-Amz-Date") }, mediastore.KindInvalidSignature},
		{"aws-chunked", open, set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), mediastore.KindInvalid},

		{"presigned: unknown key", signing{expires: time.Minute, key: "AKIDOTHER"}, nil, mediastore.KindUnknownKey},
		{"presigned: wrong secret", signing{expires: time.Minute, secret: "guess"}, nil, mediastore.KindInvalidSignature},
		{"presigned: session token", signing{expires: time.Minute, token: "token"}, nil, mediastore.KindUnknownKey},
		{"presigned: another region", signing{expires: time.Minute, region: "eu-west-1"}, nil, mediastore.KindInvalidSignature},
		{"presigned: over", signing{expires: time.Minute, at: now.Add(-61 * time.Second)}, nil, mediastore.KindRequestExpired},
		{"presigned: too new", signing{expires: time.Minute, at: now.Add(16 * time.Minute)}, nil, mediastore.KindRequestExpired},
		{"presigned: another method", presigned, func(r *http.Request) { r.Method = http.MethodGet }, mediastore.KindInvalidSignature},
		{"presigned: longer", presigned, func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=60", "Expires=61", 1)
		}, mediastore.KindInvalidSignature},
		{"presigned: no signature", presigned, func(r *http.Request) { r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256" }, mediastore.KindIncompleteSignature},
		{"presigned: and signed", presigned, set("Authorization", "AWS4-HMAC-SHA256 Credential=x"), mediastore.KindIncompleteSignature},
	} {
		c, err := service().Authenticate(test.sign.request(t, "some bytes", test.tamper))
		if !mediastore.IsKind(err, test.want) {
			t.Errorf("%s: %+v, %v; want kind %q", test.name, c, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the secret: %v", test.name, err)
		}
	}
}

// TestBodyMustBeSigned: where the body says what is to be done, a signature that
// does not cover it is none.
func TestBodyMustBeSigned(t *testing.T) {
	const body = `{"ContainerName":"mine"}`
	for name, test := range map[string]struct {
		sign signing
		ok   bool
	}{
		"declared hash":     {signing{hash: sum(body)}, true},
		"hash not declared": {signing{}, true},
		"unsigned payload":  {signing{hash: unsigned}, false},
		"presigned":         {signing{expires: time.Minute}, false},
		"another body":      {signing{hash: sum("other")}, false},
	} {
		_, err := service().AuthenticateBody(test.sign.request(t, body, nil), sha256.Sum256([]byte(body)))
		if test.ok != (err == nil) || err != nil && !mediastore.IsKind(err, mediastore.KindInvalidSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnverified: when the hash of the body was not declared, a wrong secret is
// found out only with the body, and must be then.
func TestUnverified(t *testing.T) {
	c, err := service().AuthenticateUpload(signing{secret: "guess"}.request(t, "some bytes", nil))
	if err != nil || !c.Unverified() {
		t.Fatalf("before the body: %+v, %v", c, err)
	}
	for _, secret := range []string{"guess", secret} { // where nobody looks at the body
		if c, err := service().Authenticate(signing{secret: secret}.request(t, "some bytes", nil)); !mediastore.IsKind(err, mediastore.KindInvalidSignature) {
			t.Errorf("a request that is no upload: %+v, %v", c, err)
		}
	}
	if err := c.VerifyBody(sha256.Sum256([]byte("some bytes"))); !mediastore.IsKind(err, mediastore.KindInvalidSignature) {
		t.Errorf("with the body: %v", err)
	}
}

func TestUnsigned(t *testing.T) {
	basic := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(id, secret) }
	}
	const isRoot, isAnonymous = "root", "anonymous"
	for _, test := range []struct {
		name   string
		tamper func(*http.Request)
		want   any
	}{
		{"nothing", func(*http.Request) {}, isAnonymous},
		{"other parameters", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Date=1&X-Amz-Signature=2" }, isAnonymous},
		{"a hash without a signature", set("X-Amz-Content-Sha256", unsigned), isAnonymous},
		{"Basic", basic("AKIDROOT", secret), isRoot},
		{"Basic, spelled otherwise", func(r *http.Request) {
			r.SetBasicAuth("AKIDROOT", secret)
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "Basic", "bAsIc", 1))
		}, isRoot},

		{"wrong key", basic("AKIDOTHER", secret), mediastore.KindUnknownKey},
		{"wrong secret", basic("AKIDROOT", "guess"), mediastore.KindInvalidSignature},
		{"the beginning of the secret", basic("AKIDROOT", secret[:10]), mediastore.KindInvalidSignature},
		{"more than the secret", basic("AKIDROOT", secret+"x"), mediastore.KindInvalidSignature},
		{"no secret", basic("AKIDROOT", ""), mediastore.KindInvalidSignature},
		{"nobody", basic("", ""), mediastore.KindUnknownKey},
		{"swapped", basic(secret, "AKIDROOT"), mediastore.KindUnknownKey},
		{"not base64", set("Authorization", "Basic !"), mediastore.KindIncompleteSignature},
		{"no colon", set("Authorization", "Basic QUtJRFJPT1Q="), mediastore.KindIncompleteSignature},
		{"another scheme", set("Authorization", "Bearer "+secret), mediastore.KindIncompleteSignature},
		{"version 2", set("Authorization", "AWS AKIDROOT:signature"), mediastore.KindIncompleteSignature},
	} {
		r, err := http.NewRequest(http.MethodPut, "http://origin.example.com/abcdefghijklmn/a", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		c, err := service().Authenticate(received(t, r, test.tamper))
		switch test.want {
		case isRoot:
			wantRoot(t, test.name, c, err)
		case isAnonymous:
			if err != nil || !c.Anonymous() || c.Principal != policy.Anonymous() {
				t.Errorf("%s: %+v, %v", test.name, c, err)
			}
		default:
			if !mediastore.IsKind(err, test.want.(mediastore.Kind)) {
				t.Errorf("%s: %+v, %v; want kind %q", test.name, c, err, test.want)
			}
		}
		if err == nil && (c.Unverified() || c.VerifyBody([32]byte{}) != nil) {
			t.Errorf("%s: a body is verified that nobody signed", test.name)
		}
	}
}

func root() *access.Caller {
	return &access.Caller{Principal: policy.Root(account), Account: account}
}

func anonymous() *access.Caller { return &access.Caller{Principal: policy.Anonymous()} }

func TestAuthorizeControl(t *testing.T) {
	s := service()
	if err := s.AuthorizeControl(root(), "mediastore:DeleteContainerPolicy"); err != nil {
		t.Errorf("root: %v", err)
	}
	err := s.AuthorizeControl(anonymous(), "mediastore:ListContainers")
	if !mediastore.IsKind(err, mediastore.KindMissingAuthentication) {
		t.Errorf("anonymous: %v", err)
	}
}

func TestAuthorizeData(t *testing.T) {
	const (
		action   = "mediastore:GetObject"
		resource = "arn:aws:mediastore:us-west-2:111122223333:container/movies/a/b.ts"
		all      = `"Principal":"*","Action":"mediastore:*","Resource":"*"`
		allow    = `{"Effect":"Allow",` + all + `}`
		deny     = `{"Effect":"Deny",` + all + `}`
	)
	when := func(condition string) string { return `{"Effect":"Allow",` + all + `,"Condition":{` + condition + `}}` }
	env := access.Env{SourceIP: netip.MustParseAddr("192.0.2.7"), Secure: true, Referer: "r", UserAgent: "ua"}
	for _, test := range []struct {
		name       string
		who        *access.Caller
		statements string // empty: no policy
		why        string // of a denial; empty when it is allowed
	}{
		{"root, no policy", root(), "", ""},
		{"root, allowed", root(), allow, ""},
		{"root, a policy that says nothing", root(), `{"Effect":"Allow","Principal":"*","Action":"mediastore:PutObject","Resource":"*"}`, ""},
		{"root, denied", root(), deny, "User: " + rootARN + " is not authorized to perform: " + action + " with an explicit deny in the container policy"},
		{"root, denied and allowed", root(), allow + "," + deny, "explicit deny"},
		{"anonymous, no policy", anonymous(), "", "User: anonymous is not authorized to perform: " + action + " because no container policy allows it"},
		{"anonymous, allowed", anonymous(), allow, ""},
		{"anonymous, denied and allowed", anonymous(), deny + "," + allow, "explicit deny"},
		{"anonymous, another action", anonymous(), strings.Replace(allow, "mediastore:*", "mediastore:PutObject", 1), "no container policy"},
		{"anonymous, another path", anonymous(), strings.Replace(allow, `"Resource":"*"`, `"Resource":"arn:aws:mediastore:us-west-2:111122223333:container/movies/c/*"`, 1), "no container policy"},
		{"anonymous, only the account", anonymous(), strings.Replace(allow, `"Principal":"*"`, `"Principal":{"AWS":"`+account+`"}`, 1), "no container policy"},

		{"its address", anonymous(), when(`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`), ""},
		{"another address", anonymous(), when(`"IpAddress":{"aws:SourceIp":"198.51.100.0/24"}`), "no container policy"},
		{"over TLS", anonymous(), when(`"Bool":{"aws:SecureTransport":"true"}`), ""},
		{"not over TLS", anonymous(), when(`"Bool":{"aws:SecureTransport":"false"}`), "no container policy"},
		{"its referer", anonymous(), when(`"StringEquals":{"aws:Referer":"r"}`), ""},
		{"another referer", anonymous(), when(`"StringEquals":{"aws:Referer":"ua"}`), "no container policy"},
		{"its agent", anonymous(), when(`"StringEquals":{"aws:UserAgent":"ua"}`), ""},
		{"another agent", anonymous(), when(`"StringEquals":{"aws:UserAgent":"r"}`), "no container policy"},
		{"in time", anonymous(), when(`"DateLessThan":{"aws:CurrentTime":"2026-03-01T12:00:01Z"}`), ""},
		{"too late", anonymous(), when(`"DateLessThan":{"aws:CurrentTime":"2026-03-01T12:00:00Z"}`), "no container policy"},
		{"this region", anonymous(), when(`"StringEquals":{"aws:RequestedRegion":"us-west-2"}`), ""},
		{"another region", anonymous(), when(`"StringEquals":{"aws:RequestedRegion":"eu-west-1"}`), "no container policy"},
		{"root's type", anonymous(), when(`"StringEquals":{"aws:PrincipalType":"Account"}`), "no container policy"},
	} {
		var doc *policy.Document
		if test.statements != "" {
			var err error
			if doc, err = policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[` + test.statements + `]}`)); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
		}
		err := service().AuthorizeData(test.who, action, resource, doc, env)
		switch {
		case test.why == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.why != "" && (!mediastore.IsKind(err, mediastore.KindAccessDenied) || !strings.Contains(err.Error(), test.why)):
			t.Errorf("%s: %v; want a denial: %s", test.name, err, test.why)
		}
	}
}

// TestSecretStaysOutOfLogs: whichever handler logs a key.
func TestSecretStaysOutOfLogs(t *testing.T) {
	key := access.Key{ID: "AKIDROOT", Secret: secret}
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var log bytes.Buffer
		logger := slog.New(handler(&log))
		logger.Info("keys", "key", key, "pointer", &key, slog.Group("group", "key", key))
		logger.With("key", key).WithGroup("group").Info("key", slog.Any("key", key))
		if s := log.String(); strings.Count(s, "AKIDROOT") != 5 || strings.Contains(s, "secret") {
			t.Errorf("%s: %s", name, s)
		}
	}
}

func BenchmarkAuthorizeData(b *testing.B) {
	doc, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Sid":"PublicReadOverTLS","Effect":"Allow","Principal":"*",` +
		`"Action":["mediastore:GetObject","mediastore:DescribeObject"],"Resource":"arn:aws:mediastore:us-west-2:111122223333:container/movies/*",` +
		`"Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`))
	if err != nil {
		b.Fatal(err)
	}
	s, who := service(), anonymous()
	b.ReportAllocs()
	for b.Loop() {
		err := s.AuthorizeData(who, "mediastore:GetObject", "arn:aws:mediastore:us-west-2:111122223333:container/movies/live/a/b.ts", doc, access.Env{Secure: true})
		if err != nil {
			b.Fatal(err)
		}
	}
}
