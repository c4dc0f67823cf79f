package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// parseSignedHeaders reads the list of header names: lower case, sorted, each
// once, host among them.
func parseSignedHeaders(list string) ([]string, error) {
	if strings.Count(list, ";") >= maxSignedHeaders {
		return nil, incomplete(fieldSignedHeaders, "must name at most %d headers", maxSignedHeaders)
	}
	names := strings.Split(list, ";")
	for i, name := range names {
		if !isHeaderName(name) {
			return nil, incomplete(fieldSignedHeaders, "must be names of headers in lower case, separated by semicolons")
		}
		if i > 0 && names[i-1] >= name {
			return nil, incomplete(fieldSignedHeaders, "must be sorted, each name once: %s", name)
		}
	}
	if !slices.Contains(names, "host") {
		return nil, incomplete(fieldSignedHeaders, "must contain host")
	}
	return names, nil
}

// isHeaderName reports whether s is a token without upper case (RFC 9110,
// section 5.6.2).
func isHeaderName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func (s *Signature) signs(header string) bool { return slices.Contains(s.signedHeaders, header) }

// requireSigned insists that the headers which decide about the signature itself
// are signed. AWS wants it of every x-amz-* header; that would shut out clients
// behind a CDN that adds its own (CloudFront: x-amz-cf-id), and old versions of
// curl, which sign no header that they were given.
func (s *Signature) requireSigned(r *http.Request) error {
	for _, must := range [...]struct{ header, name string }{
		{headerContentSHA256, fieldContentSHA256},
		{fieldDate, "x-amz-date"},
		{headerToken, fieldToken},
	} {
		if r.Header.Get(must.header) != "" && !s.signs(must.name) {
			return incomplete(fieldSignedHeaders, "must contain %s, which the request carries", must.name)
		}
	}
	return nil
}

// checkCarried makes sure that there is something to verify, and not too much.
// A header that is not there any more is the usual work of a proxy, and the
// message saves a search.
func (s *Signature) checkCarried(r *http.Request) error {
	size := 0
	for _, name := range s.signedHeaders {
		values := headerValues(r, name)
		if values == nil {
			return refused("SignedHeaders: the request does not carry the signed header %s", name)
		}
		for _, value := range values {
			size += len(value)
		}
	}
	if size > maxSignedBytes {
		return incomplete(fieldSignedHeaders, "the signed headers must have at most %d bytes", maxSignedBytes)
	}
	return nil
}

// headerValues returns what was sent as a header, also of those that net/http
// takes out of the map.
func headerValues(r *http.Request, name string) []string {
	if name == "host" {
		return []string{r.Host}
	}
	if values := r.Header.Values(name); len(values) > 0 {
		return values
	}
	switch {
	case name == "transfer-encoding":
		return r.TransferEncoding
	case name == "content-length" && r.ContentLength >= 0:
		return []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	return nil
}

// appendHeader writes a header's canonical line: values joined by commas, blanks
// trimmed at the ends and single inside. Quotation marks protect nothing: no
// signer that is in use heeds them.
func appendHeader(b []byte, name string, values []string) []byte {
	b = append(b, name...)
	b = append(b, ':')
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, value)
	}
	return append(b, '\n')
}

func appendTrimmed(b []byte, value string) []byte {
	value = strings.Trim(value, " \t")
	if !strings.Contains(value, "  ") && strings.IndexByte(value, '\t') < 0 {
		return append(b, value...)
	}
	for i, word := range strings.FieldsFunc(value, func(c rune) bool { return c == ' ' || c == '\t' }) {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, word...)
	}
	return b
}

// hostForms returns the hosts that the client may have signed: the one it sent,
// and the same with or without a scheme's default port, which proxies and HTTP
// libraries add and drop.
func hostForms(host string) []string {
	colon := strings.LastIndexByte(host, ':')
	if colon <= strings.LastIndexByte(host, ']') {
		return []string{host, host + ":80", host + ":443"}
	}
	if port := host[colon:]; port == ":80" || port == ":443" {
		return []string{host, host[:colon]}
	}
	return []string{host}
}
