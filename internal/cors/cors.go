// Package cors decides what a container's CORS policy lets the pages of other
// origins do (Fetch Standard, section 3.3, "CORS protocol").
//
// It turns a policy, once parsed, and what a request says of its origin into the
// values of the answer's headers. It must not know how requests arrive, what
// they are for or whether they are allowed otherwise.
package cors

import (
	"slices"
	"strings"

	"headwater/internal/glob"
)

// What a browser may ask for in one preflight. No page asks for so much; the
// bounds keep the work that an unknown client can cause small.
const (
	maxRequestHeaders      = 100
	maxRequestHeaderLength = 8192 // bytes, commas included
)

// Policy is a parsed CORS policy. It is immutable.
type Policy struct{ rules []rule }

type rule struct {
	anyOrigin bool
	origins   []glob.Pattern
	methods   []string
	headers   []glob.Pattern // in lower case

	// The headers of the answer that do not depend on the request.
	allowMethods, exposeHeaders, maxAge string
}

// Answer holds the values of the headers that allow a request. A header whose
// value is empty is left out. Access-Control-Allow-Credentials is never among
// them. The answer depends on the request's Origin, which the edge has to say
// in Vary, whether there is an answer or not.
type Answer struct {
	AllowOrigin   string // Access-Control-Allow-Origin
	AllowMethods  string // Access-Control-Allow-Methods, of a preflight only
	AllowHeaders  string // Access-Control-Allow-Headers, of a preflight only
	MaxAge        string // Access-Control-Max-Age in seconds, of a preflight only
	ExposeHeaders string // Access-Control-Expose-Headers, not of a preflight
}

// Match answers a request that is not a preflight, given its Origin header and
// its method. The first rule that allows both decides; without one, or without
// an origin, there is no CORS answer. A POST is a PUT; a GET is not a HEAD.
func (p *Policy) Match(origin, method string) (Answer, bool) {
	for i := range p.rules {
		if r := &p.rules[i]; r.allows(origin, method) {
			return Answer{AllowOrigin: r.allowOrigin(origin), ExposeHeaders: r.exposeHeaders}, true
		}
	}
	return Answer{}, false
}

// Preflight answers an OPTIONS request that asks whether a page may use the
// method with the request headers, given its Origin and
// Access-Control-Request-Method headers and every value of its
// Access-Control-Request-Headers, each of which may be a list with commas. The
// first rule that allows all of it decides.
func (p *Policy) Preflight(origin, method string, requestHeaders []string) (Answer, bool) {
	names, ok := splitNames(requestHeaders)
	if !ok {
		return Answer{}, false
	}
	for i := range p.rules {
		if r := &p.rules[i]; r.allows(origin, method) && r.allowsHeaders(names) {
			return Answer{
				AllowOrigin:  r.allowOrigin(origin),
				AllowMethods: r.allowMethods,
				AllowHeaders: strings.Join(names, ", "),
				MaxAge:       r.maxAge,
			}, true
		}
	}
	return Answer{}, false
}

func (r *rule) allows(origin, method string) bool {
	if method == "POST" {
		method = "PUT"
	}
	return origin != "" && slices.Contains(r.methods, method) &&
		(r.anyOrigin || glob.MatchAny(r.origins, origin))
}

// allowOrigin gives every origin the same answer when it can, so that caches
// in between can share it.
func (r *rule) allowOrigin(origin string) string {
	if r.anyOrigin {
		return "*"
	}
	return origin
}

func (r *rule) allowsHeaders(names []string) bool {
	for _, name := range names {
		if !glob.MatchAny(r.headers, name) {
			return false
		}
	}
	return true
}

// splitNames returns the header names of a list, in lower case. Empty elements
// do not count (RFC 9110, section 5.6.1). It reports false when there is
// anything in it that is no header name, or more than anybody needs.
func splitNames(lists []string) (names []string, ok bool) {
	length := 0
	for _, list := range lists {
		if length += len(list); length > maxRequestHeaderLength {
			return nil, false
		}
		for element := range strings.SplitSeq(list, ",") {
			name := strings.ToLower(strings.Trim(element, " \t"))
			if name == "" {
				continue
			}
			if len(names) == maxRequestHeaders || !isToken(name) {
				return nil, false
			}
			names = append(names, name)
		}
	}
	return names, true
}

// isToken reports whether s has the form of a header name (RFC 9110, section
// 5.6.2). The star is one of its characters.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
