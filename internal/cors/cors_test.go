package cors_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/cors"
)

const policy = `[
	{"AllowedOrigins": ["https://studio.example.com"], "AllowedMethods": ["PUT", "DELETE"],
	 "AllowedHeaders": ["Content-Type", "x-amz-*"], "MaxAgeSeconds": 600},
	{"AllowedOrigins": ["http://*.example.com", "http://localhost:*"], "AllowedMethods": ["GET", "HEAD"],
	 "AllowedHeaders": ["Range"], "ExposeHeaders": ["ETag", "Content-Range"], "MaxAgeSeconds": 0},
	{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowedHeaders": []}
]`

func mustParse(t testing.TB, text string) *cors.Policy {
	t.Helper()
	p, err := cors.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMatch(t *testing.T) {
	exposing := func(origin string) *cors.Answer {
		return &cors.Answer{AllowOrigin: origin, ExposeHeaders: "ETag, Content-Range"}
	}
	tests := []struct {
		origin, method string
		want           *cors.Answer // nil: no answer
	}{
		{"", "GET", nil},
		{"https://studio.example.com", "PUT", &cors.Answer{AllowOrigin: "https://studio.example.com"}},
		{"https://studio.example.com", "POST", &cors.Answer{AllowOrigin: "https://studio.example.com"}},
		{"https://studio.example.com", "put", nil},
		{"https://studio.example.com", "OPTIONS", nil},
		{"https://studio.example.com", "", nil},
		{"http://studio.example.com", "PUT", nil},
		{"https://studio.example.com:443", "PUT", nil},
		{"https://Studio.example.com", "PUT", nil},
		{"https://studio.example.com.evil.net", "PUT", nil},
		{"http://a.example.com", "GET", exposing("http://a.example.com")},
		{"http://a.b.example.com", "HEAD", exposing("http://a.b.example.com")},
		{"http://.example.com", "GET", exposing("http://.example.com")},
		{"http://localhost:8080", "GET", exposing("http://localhost:8080")},
		{"http://localhost", "GET", &cors.Answer{AllowOrigin: "*"}},
		{"http://example.com", "GET", &cors.Answer{AllowOrigin: "*"}},
		{"http://example.com", "HEAD", nil},
		{"null", "GET", &cors.Answer{AllowOrigin: "*"}},
		{"null", "PUT", nil},
	}
	p := mustParse(t, policy)
	for _, test := range tests {
		got, ok := p.Match(test.origin, test.method)
		check(t, test.origin+" "+test.method, got, ok, test.want)
	}
}

func TestPreflight(t *testing.T) {
	studio := func(headers string) *cors.Answer {
		return &cors.Answer{
			AllowOrigin: "https://studio.example.com", AllowMethods: "PUT, DELETE", AllowHeaders: headers, MaxAge: "600",
		}
	}
	tests := []struct {
		name, origin, method string
		headers              []string
		want                 *cors.Answer
	}{
		{"no headers", "https://studio.example.com", "PUT", nil, studio("")},
		{"post is put", "https://studio.example.com", "POST", nil, studio("")},
		{"any case", "https://studio.example.com", "PUT", []string{"CONTENT-TYPE"}, studio("content-type")},
		{"star", "https://studio.example.com", "PUT", []string{"x-amz-meta-a,content-type"}, studio("x-amz-meta-a, content-type")},
		{"star for nothing", "https://studio.example.com", "PUT", []string{"x-amz-"}, studio("x-amz-")},
		{"several lines", "https://studio.example.com", "PUT", []string{"x-amz-a", " x-amz-b ,, "}, studio("x-amz-a, x-amz-b")},
		{"one header not allowed", "https://studio.example.com", "PUT", []string{"content-type,range"}, nil},
		{"not a header name", "https://studio.example.com", "PUT", []string{"x-amz-a b"}, nil},
		{"a line break", "https://studio.example.com", "PUT", []string{"x-amz-a\r\nx: y"}, nil},
		{"no origin", "", "GET", nil, nil},
		{"no method", "https://studio.example.com", "", nil, nil},
		{"age of zero", "http://a.example.com", "HEAD", []string{"range"}, &cors.Answer{
			AllowOrigin: "http://a.example.com", AllowMethods: "GET, HEAD", AllowHeaders: "range", MaxAge: "0",
		}},
		{"falls through to the rule for all", "http://a.example.com", "GET", nil, &cors.Answer{
			AllowOrigin: "http://a.example.com", AllowMethods: "GET, HEAD", MaxAge: "0",
		}},
		{"no rule allows the header", "http://a.example.com", "GET", []string{"x-other"}, nil},
		{"no age", "http://other.net", "GET", nil, &cors.Answer{AllowOrigin: "*", AllowMethods: "GET"}},
		{"no header allowed", "http://other.net", "GET", []string{"range"}, nil},
	}
	p := mustParse(t, policy)
	for _, test := range tests {
		got, ok := p.Preflight(test.origin, test.method, test.headers)
		check(t, test.name, got, ok, test.want)
	}
}

// TestFirstRuleThatAllowsAllDecides: a rule that fits origin and method but not
// the headers does not hide a later one that fits everything.
func TestFirstRuleThatAllowsAllDecides(t *testing.T) {
	p := mustParse(t, `[
		{"AllowedOrigins":["http://a"],"AllowedMethods":["GET"],"AllowedHeaders":[],"MaxAgeSeconds":1},
		{"AllowedOrigins":["http://a"],"AllowedMethods":["GET"],"AllowedHeaders":["*"],"MaxAgeSeconds":2},
		{"AllowedOrigins":["http://a"],"AllowedMethods":["GET"],"AllowedHeaders":["*"],"MaxAgeSeconds":3}
	]`)
	for headers, age := range map[string]string{"": "1", "range": "2"} {
		if got, ok := p.Preflight("http://a", "GET", []string{headers}); !ok || got.MaxAge != age {
			t.Errorf("headers %q: rule %q decided, want %q", headers, got.MaxAge, age)
		}
	}
}

func TestPreflightIsBounded(t *testing.T) {
	p := mustParse(t, `[{"AllowedOrigins":["*"],"AllowedMethods":["GET"],"AllowedHeaders":["*"]}]`)
	tests := []struct {
		name    string
		headers []string
		want    bool
	}{
		{"100 names", []string{strings.Repeat("a,", 100)}, true},
		{"101 names", []string{strings.Repeat("a,", 101)}, false},
		{"8192 bytes", []string{strings.Repeat("a", 4096), strings.Repeat("b", 4096)}, true},
		{"8193 bytes", []string{strings.Repeat("a", 4096), strings.Repeat("b", 4097)}, false},
		{"nothing but commas", []string{strings.Repeat(",", 8192)}, true},
	}
	for _, test := range tests {
		if _, ok := p.Preflight("http://a", "GET", test.headers); ok != test.want {
			t.Errorf("%s: allowed %v, want %v", test.name, ok, test.want)
		}
	}
}

func check(t *testing.T, name string, got cors.Answer, ok bool, want *cors.Answer) {
	t.Helper()
	if ok != (want != nil) {
		t.Errorf("%s: answered %v, want %v", name, ok, want != nil)
		return
	}
	if want == nil {
		want = &cors.Answer{}
	}
	if diff := cmp.Diff(*want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p := mustParse(t, policy)
	for _, origin := range []string{"http://a.example.com", "http://other.net", ""} {
		if n := testing.AllocsPerRun(100, func() { p.Match(origin, "GET") }); n != 0 {
			t.Errorf("origin %q: %v allocations", origin, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for name, text := range map[string]string{
		"any":     `[{"AllowedOrigins":["*"],"AllowedMethods":["GET","HEAD"],"AllowedHeaders":["*"]}]`,
		"usual":   policy,
		"largest": largest(),
	} {
		b.Run(name, func(b *testing.B) {
			p := mustParse(b, text)
			b.ReportAllocs()
			for b.Loop() {
				p.Match("http://player.example.com", "GET")
			}
		})
	}
}

// largest returns a policy whose 100 rules of 100 origins all have to be tried.
func largest() string {
	origins := strings.TrimSuffix(strings.Repeat(`"http://*.a.example.com",`, 100), ",")
	rule := `{"AllowedOrigins":[` + origins + `],"AllowedMethods":["GET"],"AllowedHeaders":[]}`
	return "[" + strings.TrimSuffix(strings.Repeat(rule+",", 100), ",") + "]"
}
