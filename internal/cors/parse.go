package cors

import (
	"regexp"
	"strconv"
	"strings"

	"headwater/internal/glob"
	"headwater/internal/strictjson"
)

// The service's limits on a policy. Lengths are in characters.
const (
	maxLength       = 398_000
	maxRules        = 100
	maxOrigins      = 100
	maxMethods      = 4
	maxHeaders      = 100
	maxOriginLength = 2048
	maxHeaderLength = 8192
	maxMaxAge       = 1<<31 - 1 // seconds
)

// originForm is an origin as browsers write it (RFC 6454, section 6.2), with
// stars.
var originForm = regexp.MustCompile(
	`^[A-Za-z*][A-Za-z0-9+.*-]*://([A-Za-z0-9._*-]+|\[[0-9A-Fa-f:.*]+\])(:[0-9*]{1,5})?$`)

// Parse reads a policy: the JSON list of rules that the CorsPolicy member of a
// request holds. It refuses what could not be carried out, naming the place:
// "CorsPolicy[1].AllowedOrigins[0]".
func Parse(data []byte) (*Policy, error) {
	doc := strictjson.Parse("CorsPolicy", data, maxLength)
	policy := &Policy{}
	for _, v := range doc.List(1, maxRules) {
		policy.rules = append(policy.rules, parseRule(v))
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return policy, nil
}

func parseRule(v strictjson.Value) rule {
	v.Fields("AllowedOrigins", "AllowedMethods", "AllowedHeaders", "MaxAgeSeconds", "ExposeHeaders")
	var r rule
	r.parseOrigins(v.Required("AllowedOrigins"))
	r.parseMethods(v.Required("AllowedMethods"))
	r.parseHeaders(v.Required("AllowedHeaders"))
	r.parseExposeHeaders(v.Optional("ExposeHeaders"))
	if age := v.Optional("MaxAgeSeconds"); age.Present() {
		r.maxAge = strconv.FormatInt(age.Int(0, maxMaxAge), 10)
	}
	return r
}

// parseOrigins reads what is compared, exactly but for one star, with a
// request's Origin. "null" is refused: it is the origin of every sandboxed
// document, whoever wrote it, so that it would not name anybody.
func (r *rule) parseOrigins(v strictjson.Value) {
	for _, element := range v.List(1, maxOrigins) {
		origin := element.String(1, maxOriginLength)
		checkStars(element, origin)
		if origin != "*" && !originForm.MatchString(origin) {
			element.Fail("must be * or scheme://host or scheme://host:port, without a path or a slash at the end")
		}
		r.anyOrigin = r.anyOrigin || origin == "*"
		r.origins = append(r.origins, glob.Compile(origin))
	}
}

func (r *rule) parseMethods(v strictjson.Value) {
	for _, element := range v.List(1, maxMethods) {
		r.methods = append(r.methods, element.OneOf("PUT", "GET", "DELETE", "HEAD"))
	}
	r.allowMethods = strings.Join(r.methods, ", ")
}

func (r *rule) parseHeaders(v strictjson.Value) {
	for _, element := range v.List(0, maxHeaders) {
		name := parseHeader(element)
		checkStars(element, name)
		r.headers = append(r.headers, glob.Compile(strings.ToLower(name)))
	}
}

// parseExposeHeaders reads names that are answered as they stand. A star alone
// means every header to a browser, but within a name it means nothing.
func (r *rule) parseExposeHeaders(v strictjson.Value) {
	if !v.Present() {
		return
	}
	var names []string
	for _, element := range v.List(0, maxHeaders) {
		name := parseHeader(element)
		if name != "*" && strings.Contains(name, "*") {
			element.Fail("must be a header name or *, not a name with a * in it")
		}
		names = append(names, name)
	}
	r.exposeHeaders = strings.Join(names, ", ")
}

func parseHeader(v strictjson.Value) string {
	name := v.String(1, maxHeaderLength)
	if !isToken(name) {
		v.Fail("must be a header name")
	}
	return name
}

func checkStars(v strictjson.Value, s string) {
	if strings.Count(s, "*") > 1 {
		v.Fail("may have at most one *")
	}
}
