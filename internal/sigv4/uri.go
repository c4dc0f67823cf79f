package sigv4

import (
	"net/url"
	"slices"
	"strings"
)

// canonicalPaths returns the canonical forms that clients give to a path, the
// most likely first, each once.
//
// The rule for every service but S3 is to resolve the path and to encode it once
// more than it is sent. botocore and the JavaScript SDK do that; the Go SDKs
// encode but do not resolve; curl and signers made for S3 sign the path as it is
// sent. Some encode "=" and ":" in what they sign and not in what they send, so
// all of it is tried over the path in its strictest encoding, too.
func canonicalPaths(u *url.URL) []string {
	sent, strict := u.EscapedPath(), escape(u.Path, "/")
	if sent == "" {
		sent, strict = "/", "/"
	}
	resolved, strictResolved := resolve(sent), resolve(strict)
	forms := make([]string, 0, 8)
	for _, form := range [...]string{
		escape(resolved, "/"), escape(sent, "/"), sent, resolved,
		escape(strictResolved, "/"), escape(strict, "/"), strict, strictResolved,
	} {
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	return forms
}

// resolve removes dot segments (RFC 3986, section 5.2.4) and empty segments.
func resolve(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	var kept []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	resolved := "/" + strings.Join(kept, "/")
	if strings.HasSuffix(path, "/") && len(kept) > 0 {
		resolved += "/"
	}
	return resolved
}

// escape percent-encodes all but the unreserved characters (RFC 3986, section
// 2.3) and those in keep.
func escape(s, keep string) string {
	const digits = "0123456789ABCDEF"
	reserved := 0
	for i := range len(s) {
		if !isUnreserved(s[i]) && strings.IndexByte(keep, s[i]) < 0 {
			reserved++
		}
	}
	if reserved == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*reserved)
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) || strings.IndexByte(keep, c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

// param is one parameter of a query.
type param struct{ name, value string }

func decodeParam(s string) (p param, err error) {
	name, value, _ := strings.Cut(s, "=")
	if p.name, err = url.QueryUnescape(name); err != nil {
		return p, err
	}
	p.value, err = url.QueryUnescape(value)
	return p, err
}

func compareParams(a, b param) int {
	if c := strings.Compare(a.name, b.name); c != 0 {
		return c
	}
	return strings.Compare(a.value, b.value)
}

// authParams returns the decoded parameters of a presigned query by their names
// in lower case. None may occur twice: the one that is verified might not be the
// one that is used.
func authParams(query string) (map[string]string, error) {
	found := make(map[string]string)
	for s := range strings.SplitSeq(query, "&") {
		p, err := decodeParam(s)
		name := strings.ToLower(p.name)
		if !isAuthParam(name) {
			continue
		}
		if err != nil {
			return nil, incomplete(name, "is not properly percent-encoded")
		}
		if _, twice := found[name]; twice {
			return nil, incomplete(name, "must be given once")
		}
		found[name] = p.value
	}
	return found, nil
}

func isAuthParam(name string) bool {
	switch name {
	case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders",
		"x-amz-signature", fieldToken, fieldContentSHA256:
		return true
	}
	return false
}

// canonicalQueries returns the canonical forms that clients give to a query: as
// the rule says, sorted and strictly encoded; and as it was sent, which is what
// old curl and the first Go SDK sign (it sorts before it encodes).
func canonicalQueries(query string, presigned bool) []string {
	if query == "" {
		return []string{""}
	}
	sent := strings.Split(query, "&")
	if presigned {
		sent = slices.DeleteFunc(sent, isSignature)
	}
	forms := make([]string, 0, 2)
	if sorted, err := sortedQuery(sent); err == nil {
		forms = append(forms, sorted)
	}
	return append(forms, strings.Join(sent, "&"))
}

func isSignature(s string) bool {
	p, err := decodeParam(s)
	return err == nil && strings.EqualFold(p.name, "X-Amz-Signature")
}

func sortedQuery(sent []string) (string, error) {
	params := make([]param, 0, len(sent))
	size := 0
	for _, s := range sent {
		p, err := decodeParam(s)
		if err != nil {
			return "", err
		}
		p = param{escape(p.name, ""), escape(p.value, "")}
		params = append(params, p)
		size += len(p.name) + len(p.value) + len("=&")
	}
	slices.SortFunc(params, compareParams)
	b := make([]byte, 0, size)
	for _, p := range params {
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
		b = append(b, '&')
	}
	return strings.TrimSuffix(string(b), "&"), nil
}
