package dataapi

import (
	"net/http"
	"strings"
	"time"

	"headwater/internal/mediastore"
	"headwater/internal/objects"
)

// maxETags bounds a list of ETags in a condition.
const maxETags = 100

// parsePrecondition reads If-Match and If-None-Match.
func parsePrecondition(h http.Header) (pre mediastore.Precondition, err error) {
	if pre.MatchAny, pre.Match, err = parseETags(h, "If-Match", false); err != nil {
		return pre, err
	}
	pre.NoneMatchAny, pre.NoneMatch, err = parseETags(h, "If-None-Match", true)
	return pre, err
}

// parseConditions reads the conditions of a read. Dates that cannot be read are
// ignored (RFC 9110, sections 13.1.3 and 13.1.4).
func parseConditions(h http.Header) (cond objects.Conditions, err error) {
	if cond.Precondition, err = parsePrecondition(h); err != nil {
		return cond, err
	}
	cond.ModifiedSince = parseDate(h.Get("If-Modified-Since"))
	cond.UnmodifiedSince = parseDate(h.Get("If-Unmodified-Since"))
	return cond, nil
}

func parseDate(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, _ := http.ParseTime(s)
	return t
}

// parseETags reads a list of ETags, with or without their quotes: this service's
// own ETag header has none, but caches add them. Weak ones count for a weak
// comparison only; since our versions never share an ETag, a list of nothing but
// weak ones then matches no version.
func parseETags(h http.Header, name string, weak bool) (star bool, tags []mediastore.ETag, err error) {
	lines := h.Values(name)
	if len(lines) == 0 {
		return false, nil, nil
	}
	list := strings.Join(lines, ",")
	if strings.TrimSpace(list) == "*" {
		return true, nil, nil
	}
	tags = []mediastore.ETag{}
	for item := range strings.SplitSeq(list, ",") {
		tag, isWeak, ok := parseETag(strings.TrimSpace(item))
		if !ok || strings.TrimSpace(item) == "*" || len(tags) == maxETags { // a star stands alone
			return false, nil, mediastore.Invalid(name, "must be * or a list of up to %d ETags", maxETags)
		}
		if !isWeak || weak {
			tags = append(tags, tag)
		}
	}
	return false, tags, nil
}

func parseETag(s string) (tag mediastore.ETag, weak, ok bool) {
	s, weak = strings.CutPrefix(s, "W/")
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	return mediastore.ETag(s), weak, s != "" && !strings.ContainsAny(s, "\" \t")
}

// rangeApplies evaluates If-Range (RFC 9110, section 13.1.5): a client that has
// a part of another version must get the whole of this one.
func rangeApplies(h http.Header, obj *mediastore.Object) bool {
	condition := h.Get("If-Range")
	if condition == "" {
		return true
	}
	if date, err := http.ParseTime(condition); err == nil {
		return obj.LastModified.Truncate(time.Second).Equal(date)
	}
	tag, weak, ok := parseETag(condition)
	return ok && !weak && tag == obj.ETag
}
