package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/mediastore"
)

const (
	testKey    = "AKIDEXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	testRegion = "us-west-2"
)

// received reads text the way a server does.
func received(t testing.TB, text string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return r
}

// request makes the text of a request without a body.
func request(line string, headers ...string) string {
	return line + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
}

// check is what a caller of the package does, apart from scope and time.
func check(r *http.Request, secret string, cache *KeyCache) error {
	s, signed, err := Parse(r)
	if err != nil || !signed {
		return err
	}
	hash := s.PayloadHash
	if s.NeedsBody() {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		hash = hexSum(body)
	}
	return s.Verify(r, secret, hash, cache)
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// The examples of the AWS documentation: "Signature Version 4 signing process",
// the Signature Version 4 test suite, and the examples of the S3 API reference.
func TestDocumentedExamples(t *testing.T) {
	const s3Secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	tests := map[string]struct{ secret, text string }{
		"IAM ListUsers": {testSecret, request("GET /?Action=ListUsers&Version=2010-05-08",
			"Host: iam.amazonaws.com",
			"Content-Type: application/x-www-form-urlencoded; charset=utf-8",
			"X-Amz-Date: 20150830T123600Z",
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")},
		"test suite get-vanilla": {testSecret, request("GET /",
			"Host: example.amazonaws.com",
			"X-Amz-Date: 20150830T123600Z",
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")},
		"test suite get-vanilla-query-order-key-case": {testSecret, request("GET /?Param2=value2&Param1=value1",
			"Host: example.amazonaws.com",
			"X-Amz-Date: 20150830T123600Z",
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")},
		"S3 GET Object": {s3Secret, request("GET /test.txt",
			"Host: examplebucket.s3.amazonaws.com",
			"Range: bytes=0-9",
			"x-amz-content-sha256: "+emptyHash,
			"x-amz-date: 20130524T000000Z",
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")},
		"S3 presigned": {s3Secret, request("GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
			"Host: examplebucket.s3.amazonaws.com")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := check(received(t, test.text), test.secret, nil); err != nil {
				t.Error(err)
			}
			if err := check(received(t, test.text), test.secret+"x", nil); !mediastore.IsKind(err, mediastore.KindInvalidSignature) {
				t.Errorf("with a wrong secret: %v", err)
			}
		})
	}
}

// goldens are requests as botocore and curl put them on the wire, each below a
// comment that says what it is, signed with testKey and testSecret.
func goldens(t testing.TB) map[string]string {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden requests: %v", err)
	}
	texts := make(map[string]string)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(content), "\n")
		texts[filepath.Base(file)] = text
	}
	return texts
}

func TestGoldenRequests(t *testing.T) {
	cache := NewKeyCache(8)
	for name, text := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			if err := check(received(t, text), testSecret, cache); err != nil {
				t.Error(err)
			}
			if err := check(received(t, text), "another secret", cache); !mediastore.IsKind(err, mediastore.KindInvalidSignature) {
				t.Errorf("with a wrong secret: %v", err)
			}
			s, _, err := Parse(received(t, text))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CheckScope(testRegion, "mediastore"); err != nil {
				t.Error(err)
			}
			if err := s.CheckTime(s.time.Add(time.Minute)); err != nil {
				t.Error(err)
			}
		})
	}
}

const (
	goodDate   = "X-Amz-Date: 20260102T030405Z"
	goodHost   = "Host: example.com"
	credential = "Credential=AKIDEXAMPLE/20260102/us-west-2/mediastore/aws4_request"
	goodMAC    = "Signature=" + emptyHash
	goodAuth   = "Authorization: AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, " + goodMAC
)

func TestParseRefuses(t *testing.T) {
	get := func(headers ...string) string { return request("GET /a", append(headers, goodHost)...) }
	auth := func(value string) string { return get(goodDate, "Authorization: "+value) }
	tests := map[string]struct {
		text  string
		kind  mediastore.Kind
		field string
	}{
		"no parts":                {auth("AWS4-HMAC-SHA256"), mediastore.KindIncompleteSignature, "Authorization"},
		"unknown part":            {auth("AWS4-HMAC-SHA256 " + credential + ", Signed=host"), mediastore.KindIncompleteSignature, "Authorization"},
		"part twice":              {auth("AWS4-HMAC-SHA256 " + credential + "," + credential), mediastore.KindIncompleteSignature, "Authorization"},
		"SigV4a":                  {auth("AWS4-ECDSA-P256-SHA256 " + credential), mediastore.KindIncompleteSignature, "Authorization"},
		"other algorithm":         {auth("AWS4-HMAC-SHA512 " + credential), mediastore.KindIncompleteSignature, "Authorization"},
		"long header":             {auth("AWS4-HMAC-SHA256 " + strings.Repeat("x", maxAuthorization)), mediastore.KindIncompleteSignature, "Authorization"},
		"no credential":           {auth("AWS4-HMAC-SHA256 SignedHeaders=host;x-amz-date, " + goodMAC), mediastore.KindIncompleteSignature, "Credential"},
		"short credential":        {auth("AWS4-HMAC-SHA256 Credential=AKID/20260102/aws4_request, SignedHeaders=host, " + goodMAC), mediastore.KindIncompleteSignature, "Credential"},
		"wrong terminator":        {auth("AWS4-HMAC-SHA256 Credential=AKID/20260102/r/s/aws3_request, SignedHeaders=host, " + goodMAC), mediastore.KindIncompleteSignature, "Credential"},
		"no signed headers":       {auth("AWS4-HMAC-SHA256 " + credential + ", " + goodMAC), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"host is not signed":      {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=x-amz-date, " + goodMAC), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"not sorted":              {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=x-amz-date;host, " + goodMAC), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"not unique":              {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;host;x-amz-date, " + goodMAC), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"not lower case":          {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=Host;x-amz-date, " + goodMAC), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"too many signed headers": {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=" + strings.Repeat("h;", maxSignedHeaders) + "host, " + goodMAC), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"signed header is absent": {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;range;x-amz-date, " + goodMAC), mediastore.KindInvalidSignature, ""},
		"large signed header":     {get(goodDate, "A: "+strings.Repeat("x", maxSignedBytes+1), "Authorization: AWS4-HMAC-SHA256 "+credential+", SignedHeaders=a;host, "+goodMAC), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"no signature":            {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date"), mediastore.KindIncompleteSignature, "Signature"},
		"short signature":         {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=abcd"), mediastore.KindIncompleteSignature, "Signature"},
		"signature not hex":       {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("g", 64)), mediastore.KindIncompleteSignature, "Signature"},
		"no date":                 {get("Authorization: AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host, " + goodMAC), mediastore.KindIncompleteSignature, "X-Amz-Date"},
		"malformed date":          {get("X-Amz-Date: 2026-01-02T03:04:05Z", goodAuth), mediastore.KindIncompleteSignature, "X-Amz-Date"},
		"date is not signed":      {auth("AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host, " + goodMAC), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"hash is not signed":      {get(goodDate, goodAuth, "x-amz-content-sha256: UNSIGNED-PAYLOAD"), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"token is not signed":     {get(goodDate, goodAuth, "x-amz-security-token: t"), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"in header and query":     {request("GET /a?X-Amz-Algorithm=AWS4-HMAC-SHA256", goodHost, goodDate, goodAuth), mediastore.KindIncompleteSignature, "Authorization"},
		"long path":               {request("GET /"+strings.Repeat("a", maxPath), goodHost, goodDate, goodAuth), mediastore.KindInvalid, "URI"},
		"long query":              {request("GET /?"+strings.Repeat("a", maxQuery+1), goodHost, goodDate, goodAuth), mediastore.KindInvalid, "URI"},
		"aws-chunked":             {signedHash("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), mediastore.KindInvalid, "x-amz-content-sha256"},
		"short hash":              {signedHash("abcd"), mediastore.KindInvalid, "x-amz-content-sha256"},
		"hash not hex":            {signedHash(strings.Repeat("z", 64)), mediastore.KindInvalid, "x-amz-content-sha256"},
		"presigned: SigV4a":       {presigned("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256"), mediastore.KindIncompleteSignature, "X-Amz-Algorithm"},
		"presigned: no credential": {presigned("X-Amz-Credential", ""),
			mediastore.KindIncompleteSignature, "Credential"},
		"presigned: no headers":       {presigned("X-Amz-SignedHeaders", ""), mediastore.KindIncompleteSignature, "SignedHeaders"},
		"presigned: no signature":     {presigned("X-Amz-Signature", ""), mediastore.KindIncompleteSignature, "Signature"},
		"presigned: no date":          {presigned("X-Amz-Date", ""), mediastore.KindIncompleteSignature, "X-Amz-Date"},
		"presigned: no expires":       {presigned("X-Amz-Expires", ""), mediastore.KindIncompleteSignature, "X-Amz-Expires"},
		"presigned: 0 seconds":        {presigned("X-Amz-Expires", "0"), mediastore.KindIncompleteSignature, "X-Amz-Expires"},
		"presigned: over a week":      {presigned("X-Amz-Expires", "604801"), mediastore.KindIncompleteSignature, "X-Amz-Expires"},
		"presigned: negative":         {presigned("X-Amz-Expires", "-1"), mediastore.KindIncompleteSignature, "X-Amz-Expires"},
		"presigned: malformed escape": {presigned("X-Amz-Date", "%zz"), mediastore.KindIncompleteSignature, "x-amz-date"},
		"presigned: twice":            {presigned("X-Amz-Expires", "60&x-amz-expires=70"), mediastore.KindIncompleteSignature, "x-amz-expires"},
		"presigned: hash":             {presigned("X-Amz-Expires", "60&X-Amz-Content-Sha256=abcd"), mediastore.KindInvalid, "x-amz-content-sha256"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, signed, err := Parse(received(t, test.text))
			var e *mediastore.Error
			ok := errors.As(err, &e)
			if !ok || signed {
				t.Fatalf("signed %v, error %v", signed, err)
			}
			if e.Kind != test.kind || e.Field != test.field {
				t.Errorf("got %v in %q, want %v in %q", e, e.Field, test.kind, test.field)
			}
		})
	}
}

func signedHash(hash string) string {
	return request("GET /a", goodHost, goodDate, "x-amz-content-sha256: "+hash,
		"Authorization: AWS4-HMAC-SHA256 "+credential+", SignedHeaders=host;x-amz-content-sha256;x-amz-date, "+goodMAC)
}

// presigned makes a well-formed presigned request (its signature is not right)
// with one parameter as given.
func presigned(name, value string) string {
	query := ""
	for _, p := range [][2]string{
		{"X-Amz-Algorithm", algorithm},
		{"X-Amz-Credential", "AKIDEXAMPLE/20260102/us-west-2/mediastore/aws4_request"},
		{"X-Amz-Date", "20260102T030405Z"},
		{"X-Amz-Expires", "600"},
		{"X-Amz-SignedHeaders", "host"},
		{"X-Amz-Signature", emptyHash},
	} {
		if p[0] == name {
			p[1] = value
		}
		query += "&" + p[0] + "=" + p[1]
	}
	return request("GET /a?"+query[1:], goodHost)
}

func TestParse(t *testing.T) {
	type result struct {
		Signed                 bool
		AccessKey, Token, Hash string
		NeedsBody              bool
	}
	post := func(headers ...string) string { return request("POST /", append(headers, goodHost, goodDate)...) }
	tests := map[string]struct {
		text string
		want result
	}{
		"no credentials":      {request("GET /a?b=c", goodHost), result{}},
		"Basic":               {request("GET /a", goodHost, "Authorization: Basic YTpi"), result{}},
		"name in a value":     {request("GET /a?b=X-Amz-Algorithm=", goodHost), result{}},
		"no body":             {post(goodAuth), result{true, testKey, "", emptyHash, false}},
		"body without hash":   {post(goodAuth, "Content-Length: 1"), result{true, testKey, "", "", true}},
		"body of no length":   {post(goodAuth, "Transfer-Encoding: chunked"), result{true, testKey, "", "", true}},
		"unsigned body":       {signedHash(unsignedPayload), result{true, testKey, "", unsignedPayload, false}},
		"declared body":       {signedHash(hexSum(nil)), result{true, testKey, "", emptyHash, false}},
		"presigned":           {presigned("", ""), result{true, testKey, "", unsignedPayload, false}},
		"presigned with hash": {presigned("X-Amz-Date", "20260102T030405Z&X-Amz-Content-Sha256="+emptyHash), result{true, testKey, "", emptyHash, false}},
		"presigned session":   {presigned("X-Amz-Date", "20260102T030405Z&X-Amz-Security-Token=a%2Bb"), result{true, testKey, "a+b", unsignedPayload, false}},
		"presigned, hash not signed": {strings.Replace(presigned("", ""), "\r\n", "\r\nX-Amz-Content-Sha256: "+emptyHash+"\r\n", 1),
			result{true, testKey, "", unsignedPayload, false}},
		"session": {post("X-Amz-Security-Token: tok", strings.Replace(goodAuth, "x-amz-date", "x-amz-date;x-amz-security-token", 1)),
			result{true, testKey, "tok", emptyHash, false}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, signed, err := Parse(received(t, test.text))
			if err != nil {
				t.Fatal(err)
			}
			got := result{Signed: signed}
			if signed {
				got = result{signed, s.AccessKey, s.SessionToken, s.PayloadHash, s.NeedsBody()}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCheckScope(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		scope scope
		want  string // part of the message, empty when it is right
	}{
		{scope{"20260102", "us-west-2", "mediastore"}, ""},
		{scope{"20260102", "eu-west-1", "mediastore"}, "the region us-west-2, not eu-west-1"},
		{scope{"20260102", "us-west-2", "s3"}, "the service mediastore, not s3"},
		{scope{"20260103", "us-west-2", "mediastore"}, "to 20260102, the day of X-Amz-Date, not 20260103"},
		{scope{"", "us-west-2", "mediastore"}, "to 20260102"},
	}
	for _, test := range tests {
		err := (&Signature{scope: test.scope, time: at}).CheckScope("us-west-2", "mediastore")
		if test.want == "" && err != nil {
			t.Errorf("%v: %v", test.scope, err)
		}
		if test.want != "" && (!mediastore.IsKind(err, mediastore.KindInvalidSignature) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v: got %v, want %q", test.scope, err, test.want)
		}
	}
}

func TestCheckTime(t *testing.T) {
	tests := []struct {
		expires, age time.Duration
		ok           bool
	}{
		{0, 0, true},
		{0, 15 * time.Minute, true},
		{0, 15*time.Minute + time.Second, false},
		{0, -15 * time.Minute, true},
		{0, -15*time.Minute - time.Second, false},
		{time.Hour, time.Hour, true},
		{time.Hour, time.Hour + time.Second, false},
		{time.Second, 2 * time.Second, false},
		{time.Hour, -15 * time.Minute, true},
		{time.Hour, -15*time.Minute - time.Second, false},
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range tests {
		now := at.Add(test.age)
		err := (&Signature{time: at, expires: test.expires}).CheckTime(now)
		if test.ok {
			if err != nil {
				t.Errorf("expires %v, age %v: %v", test.expires, test.age, err)
			}
			continue
		}
		if !mediastore.IsKind(err, mediastore.KindRequestExpired) || !strings.Contains(err.Error(), now.Format(dateFormat)) {
			t.Errorf("expires %v, age %v: %v", test.expires, test.age, err)
		}
	}
}

func TestParseDate(t *testing.T) {
	want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, s := range []string{"20260102T030405Z", "Fri, 02 Jan 2026 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:05 -0000"} {
		if got, err := parseDate(s); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}

func TestCanonicalPaths(t *testing.T) {
	tests := []struct {
		sent string
		want []string
	}{
		{"/", []string{"/"}},
		{"/id/a/b.ts", []string{"/id/a/b.ts"}},
		{"/id/a%3D1", []string{"/id/a%253D1", "/id/a%3D1"}},
		{"/id/a=1", []string{"/id/a%3D1", "/id/a=1", "/id/a%253D1"}},
		{"//a/b", []string{"/a/b", "//a/b"}},
		{"/a/./b/../c/", []string{"/a/c/", "/a/./b/../c/"}},
		{"/../..", []string{"/", "/../.."}},
		{"//a%3d1", []string{"/a%253d1", "//a%253d1", "//a%3d1", "/a%3d1", "/a%253D1", "//a%253D1", "//a%3D1", "/a%3D1"}},
	}
	for _, test := range tests {
		got := canonicalPaths(received(t, request("GET "+test.sent, goodHost)).URL)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.sent, diff)
		}
	}
}

func TestCanonicalQueries(t *testing.T) {
	tests := []struct {
		sent string
		want []string
	}{
		{"", []string{""}},
		{"b=2&a=1", []string{"a=1&b=2", "b=2&a=1"}},
		{"a=2&a=1&a", []string{"a=&a=1&a=2", "a=2&a=1&a"}},
		{"a-b=1&a=2", []string{"a=2&a-b=1", "a-b=1&a=2"}},
		{"Path=/a+b", []string{"Path=%2Fa%20b", "Path=/a+b"}},
		{"a=%2f", []string{"a=%2F", "a=%2f"}},
		{"a=%zz", []string{"a=%zz"}},
		{"a=1&X-Amz-Signature=f", []string{"a=1", "a=1"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, canonicalQueries(test.sent, true)); diff != "" {
			t.Errorf("%s: %s", test.sent, diff)
		}
	}
	if got := canonicalQueries("X-Amz-Signature=f", false); got[0] != "X-Amz-Signature=f" {
		t.Errorf("a parameter was left out of a header-signed query: %q", got)
	}
}

func TestHostForms(t *testing.T) {
	tests := map[string][]string{
		"a.example":      {"a.example", "a.example:80", "a.example:443"},
		"a.example:80":   {"a.example:80", "a.example"},
		"a.example:443":  {"a.example:443", "a.example"},
		"a.example:8080": {"a.example:8080"},
		"[::1]":          {"[::1]", "[::1]:80", "[::1]:443"},
		"[::1]:80":       {"[::1]:80", "[::1]"},
	}
	for host, want := range tests {
		if diff := cmp.Diff(want, hostForms(host)); diff != "" {
			t.Errorf("%s: %s", host, diff)
		}
	}
}

func TestAppendHeader(t *testing.T) {
	tests := []struct {
		values []string
		want   string
	}{
		{[]string{""}, "a:\n"},
		{[]string{" x  y\t z "}, "a:x y z\n"},
		{[]string{`"x   y"`}, "a:\"x y\"\n"},
		{[]string{"x", " y ", "z"}, "a:x,y,z\n"},
	}
	for _, test := range tests {
		if got := string(appendHeader(nil, "a", test.values)); got != test.want {
			t.Errorf("%q: got %q, want %q", test.values, got, test.want)
		}
	}
}

func TestKeyCache(t *testing.T) {
	want, err := hex.DecodeString("c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9")
	if err != nil {
		t.Fatal(err)
	}
	listUsers := scope{"20150830", "us-east-1", "iam"}
	cache := NewKeyCache(2)
	for range 2 { // derived, then remembered
		if key := cache.signingKey(testSecret, listUsers); !bytes.Equal(key[:], want) {
			t.Errorf("got %x, want %x", key, want)
		}
	}
	for _, other := range []scope{{"20150831", "us-east-1", "iam"}, {"20150830", "r", "iam"}, {"20150830", "us-east-1", "s"}} {
		if key := cache.signingKey(testSecret, other); key != deriveKey(testSecret, other) {
			t.Errorf("%v: got another scope's key", other)
		}
		if n := len(cache.mu.keys); n > 2 {
			t.Errorf("holds %d keys", n)
		}
	}
	if cache.signingKey("another", listUsers) == cache.signingKey(testSecret, listUsers) {
		t.Error("two secrets have one key")
	}
}

// BenchmarkVerify is what every signed GET pays.
func BenchmarkVerify(b *testing.B) {
	r := received(b, goldens(b)["botocore-get.txt"])
	cache := NewKeyCache(16)
	b.ReportAllocs()
	for b.Loop() {
		if err := check(r, testSecret, cache); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyWorst is the most that a caller without the secret can cost: a
// large request that has every canonical form, none of them right.
func BenchmarkVerifyWorst(b *testing.B) {
	text := presigned("", "")
	query := text[strings.IndexByte(text, '?')+1 : strings.Index(text, " HTTP/")]
	query += "&" + strings.Repeat("=", maxQuery-len(query)-1)
	path := "//a%3d1" + strings.Repeat("=", maxPath-len("//a%3d1"))
	r := received(b, request("GET "+path+"?"+query, "Host: a.example"))
	b.ReportAllocs()
	for b.Loop() {
		if err := check(r, testSecret, nil); !mediastore.IsKind(err, mediastore.KindInvalidSignature) {
			b.Fatal(err)
		}
	}
}
