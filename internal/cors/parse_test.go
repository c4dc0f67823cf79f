package cors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/cors"
	"headwater/internal/mediastore"
)

// list returns a JSON list of n copies of an element.
func list(n int, element string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
}

// text returns a JSON string of n letters.
func text(n int) string { return `"` + strings.Repeat("a", n) + `"` }

// rule returns the minimal rule with further fields, or other values for those
// that it has.
func rule(fields ...string) string {
	values := map[string]json.RawMessage{
		"AllowedOrigins": json.RawMessage(`["*"]`),
		"AllowedMethods": json.RawMessage(`["GET"]`),
		"AllowedHeaders": json.RawMessage(`[]`),
	}
	for pair := range slices.Chunk(fields, 2) {
		values[pair[0]] = json.RawMessage(pair[1])
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func one(fields ...string) string { return "[" + rule(fields...) + "]" }

// padded returns a valid policy of n characters.
func padded(n int) string { return one() + strings.Repeat(" ", n-len(one())) }

func TestParseAccepts(t *testing.T) {
	for name, document := range map[string]string{
		"minimal":          one(),
		"100 rules":        list(100, rule()),
		"398,000":          padded(398_000),
		"100 origins":      one("AllowedOrigins", list(100, `"http://a"`)),
		"4 methods":        one("AllowedMethods", `["PUT","GET","DELETE","HEAD"]`),
		"100 headers":      one("AllowedHeaders", list(100, `"a"`)),
		"8192 letters":     one("AllowedHeaders", `[`+text(8192)+`]`),
		"star in a header": one("AllowedHeaders", `["*","x-*-b"]`),
		"0 exposed":        one("ExposeHeaders", `[]`),
		"100 exposed":      one("ExposeHeaders", list(100, `"a"`)),
		"all exposed":      one("ExposeHeaders", `["*"]`),
		"null exposed":     one("ExposeHeaders", `null`),
		"age 0":            one("MaxAgeSeconds", `0`),
		"largest age":      one("MaxAgeSeconds", `2147483647`),
		"longest origin":   one("AllowedOrigins", `["http://`+strings.Repeat("a", 2041)+`"]`),
	} {
		if _, err := cors.Parse([]byte(document)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ document, field, message string }{
		{``, "CorsPolicy", "must not be empty"},
		{`{}`, "CorsPolicy", "must be a list"},
		{`[]`, "CorsPolicy", "1 to 100 elements"},
		{list(101, rule()), "CorsPolicy", "1 to 100 elements"},
		{padded(398_001), "CorsPolicy", "at most 398000"},
		{`[[]]`, "CorsPolicy[0]", "must be an object"},
		{`[` + rule() + `,` + rule("allowedOrigins", "[]") + `]`, "CorsPolicy[1]", `unknown field "allowedOrigins"`},
		{`[` + rule() + `,` + rule("AllowedOrigins", `["a"]`) + `]`, "CorsPolicy[1].AllowedOrigins[0]", "must be * or"},
		{one("AllowedOrigins", "null"), "CorsPolicy[0].AllowedOrigins", "is required"},
		{one("AllowedOrigins", "[]"), "CorsPolicy[0].AllowedOrigins", "1 to 100 elements"},
		{one("AllowedOrigins", list(101, `"*"`)), "CorsPolicy[0].AllowedOrigins", "1 to 100 elements"},
		{one("AllowedOrigins", `"*"`), "CorsPolicy[0].AllowedOrigins", "must be a list"},
		{one("AllowedOrigins", `[1]`), "CorsPolicy[0].AllowedOrigins[0]", "must be a string"},
		{one("AllowedOrigins", `[""]`), "CorsPolicy[0].AllowedOrigins[0]", "1 to 2048 characters"},
		{one("AllowedOrigins", `["http://`+strings.Repeat("a", 2042)+`"]`), "CorsPolicy[0].AllowedOrigins[0]", "1 to 2048 characters"},
		{one("AllowedMethods", "null"), "CorsPolicy[0].AllowedMethods", "is required"},
		{one("AllowedMethods", "[]"), "CorsPolicy[0].AllowedMethods", "1 to 4 elements"},
		{one("AllowedMethods", list(5, `"GET"`)), "CorsPolicy[0].AllowedMethods", "1 to 4 elements"},
		{one("AllowedMethods", `["GET","POST"]`), "CorsPolicy[0].AllowedMethods[1]", "must be PUT or GET or DELETE or HEAD"},
		{one("AllowedMethods", `["get"]`), "CorsPolicy[0].AllowedMethods[0]", "must be PUT or"},
		{one("AllowedHeaders", "null"), "CorsPolicy[0].AllowedHeaders", "is required"},
		{one("AllowedHeaders", list(101, `"a"`)), "CorsPolicy[0].AllowedHeaders", "0 to 100 elements"},
		{one("AllowedHeaders", `[""]`), "CorsPolicy[0].AllowedHeaders[0]", "1 to 8192 characters"},
		{one("AllowedHeaders", `[`+text(8193)+`]`), "CorsPolicy[0].AllowedHeaders[0]", "1 to 8192 characters"},
		{one("AllowedHeaders", `["a","*-*"]`), "CorsPolicy[0].AllowedHeaders[1]", "at most one *"},
		{one("AllowedHeaders", `["a b"]`), "CorsPolicy[0].AllowedHeaders[0]", "must be a header name"},
		{one("ExposeHeaders", list(101, `"a"`)), "CorsPolicy[0].ExposeHeaders", "0 to 100 elements"},
		{one("ExposeHeaders", `["a\r\nb: c"]`), "CorsPolicy[0].ExposeHeaders[0]", "must be a header name"},
		{one("ExposeHeaders", `["x-*"]`), "CorsPolicy[0].ExposeHeaders[0]", "not a name with a *"},
		{one("MaxAgeSeconds", "-1"), "CorsPolicy[0].MaxAgeSeconds", "from 0 to 2147483647"},
		{one("MaxAgeSeconds", "2147483648"), "CorsPolicy[0].MaxAgeSeconds", "from 0 to 2147483647"},
		{one("MaxAgeSeconds", `"1"`), "CorsPolicy[0].MaxAgeSeconds", "must be an integer"},
	}
	for _, test := range tests {
		_, err := cors.Parse([]byte(test.document))
		var e *mediastore.Error
		if !errors.As(err, &e) || e.Kind != mediastore.KindInvalid || e.Field != test.field || !strings.Contains(e.Message, test.message) {
			t.Errorf("%.80s: %v\nwant %s: %s", test.document, err, test.field, test.message)
		}
	}
}

func TestOriginForm(t *testing.T) {
	for origin, valid := range map[string]bool{
		"*":                         true,
		"http://example.com":        true,
		"https://example.com:8443":  true,
		"http://*.example.com":      true,
		"http://*":                  true,
		"http://localhost:*":        true,
		"http://localhost:80*":      true,
		"http*://example.com":       true,
		"*://example.com":           true,
		"https://Example.com":       true,
		"http://my_host":            true,
		"http://192.0.2.1:80":       true,
		"http://[2001:db8::1]:8080": true,
		"app.tv-1+x://host":         true,
		"null":                      false,
		"**":                        false,
		"*://*":                     false,
		"http://*.example.*":        false,
		"example.com":               false,
		"*.example.com":             false,
		"//example.com":             false,
		"http://":                   false,
		"http://example.com/":       false,
		"http://example.com/a":      false,
		"http://example.com?a":      false,
		"http://example.com:":       false,
		"http://example.com:http":   false,
		"http://example.com:123456": false,
		"http://a@example.com":      false,
		"http://a b":                false,
		" http://example.com":       false,
		"http://example.com\n":      false,
		"http://exämple.com":        false,
		"http://[example]":          false,
	} {
		quoted, _ := json.Marshal([]string{origin})
		if _, err := cors.Parse([]byte(one("AllowedOrigins", string(quoted)))); (err == nil) != valid {
			t.Errorf("%q: %v, want valid %v", origin, err, valid)
		}
	}
}

// FuzzParse: no document makes it panic, one that it accepts is accepted again
// after another program has re-encoded it, and then decides the same.
func FuzzParse(f *testing.F) {
	f.Add(policy, "http://a.example.com", "GET", "range")
	f.Add(one("ExposeHeaders", `["*"]`, "MaxAgeSeconds", "5"), "null", "POST", "a,b")
	f.Add(`[{"AllowedOrigins":["http://[::1]:*"],"AllowedMethods":["PUT"],"AllowedHeaders":["X-*"]}]`, "http://[::1]:9", "PUT", "x-\xff")
	f.Add(list(2, rule("AllowedOrigins", `["a"]`)), "", "", "")
	f.Add(`[null]`, "*", "*", "*")
	f.Fuzz(func(t *testing.T, document, origin, method, headers string) {
		first, err := cors.Parse([]byte(document))
		if err != nil {
			if first != nil || !mediastore.IsKind(err, mediastore.KindInvalid) {
				t.Fatalf("%q: %v, %v", document, first, err)
			}
			return
		}
		second, err := cors.Parse(reencode(t, document))
		if err != nil {
			t.Fatalf("%q is refused when re-encoded: %v", document, err)
		}
		if diff := cmp.Diff(decisions(first, origin, method, headers), decisions(second, origin, method, headers)); diff != "" {
			t.Errorf("%q decides otherwise when re-encoded:\n%s", document, diff)
		}
	})
}

func decisions(p *cors.Policy, origin, method, headers string) []any {
	actual, actualOK := p.Match(origin, method)
	preflight, preflightOK := p.Preflight(origin, method, []string{headers})
	return []any{actual, actualOK, preflight, preflightOK}
}

func reencode(t *testing.T, document string) []byte {
	var tree any
	if err := json.Unmarshal([]byte(document), &tree); err != nil {
		t.Fatalf("%q was accepted: %v", document, err)
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(tree); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}
