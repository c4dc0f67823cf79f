package dataapi

import (
	"strconv"
	"strings"

	"headwater/internal/mediastore"
)

// byteRange is a Range header with one range (RFC 9110, section 14.1.2), not yet
// held against an object. Positions are in bytes.
type byteRange struct {
	first int64 // -1 for a suffix range
	last  int64 // inclusive; -1 when open; the length for a suffix range
}

// veryLarge is the last position with which a client asks to follow an object of
// unknown length to its end (RFC 8673, section 2.2 names 2^53-1 as the smallest
// that is in use).
const veryLarge = 1<<53 - 1

// parseRange reads a Range header. Anything but a single range of bytes is
// answered like one that cannot be satisfied, as the service does.
func parseRange(header string) (byteRange, error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return byteRange{}, errRange("must begin with bytes=")
	}
	if strings.Contains(spec, ",") {
		return byteRange{}, errRange("must have one range only")
	}
	first, last, ok := strings.Cut(spec, "-")
	if !ok || first == "" && last == "" {
		return byteRange{}, errRange("must be first-last, first- or -length")
	}
	r := byteRange{first: -1, last: -1}
	if first != "" && !parsePosition(first, &r.first) || last != "" && !parsePosition(last, &r.last) {
		return byteRange{}, errRange("must have positions in decimal digits")
	}
	if r.first >= 0 && r.last >= 0 && r.last < r.first {
		return byteRange{}, errRange("must not end before it begins")
	}
	return r, nil
}

// parsePosition reads digits. A number that is too large for us is as good as
// the largest there is.
func parsePosition(s string, n *int64) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		v = 1<<63 - 1
	}
	*n = v
	return true
}

func errRange(rule string) error {
	return mediastore.Errorf(mediastore.KindRangeNotSatisfiable, "Range: %s", rule)
}

// of returns where the range begins and how many bytes it has in an object of
// the given size.
func (r byteRange) of(size int64) (from, n int64, err error) {
	switch {
	case r.first < 0:
		from = max(0, size-r.last)
		n = size - from
	case r.last < 0 || r.last >= size:
		from, n = r.first, size-r.first
	default:
		from, n = r.first, r.last-r.first+1
	}
	if n <= 0 {
		return 0, 0, errRange("no byte of it is in the object, which has " + strconv.FormatInt(size, 10))
	}
	return from, n, nil
}

// contentRange renders a Content-Range header. A size of -1 is not known yet.
func contentRange(first, last, size int64) string {
	b := make([]byte, 0, 64)
	b = append(b, "bytes "...)
	b = strconv.AppendInt(b, first, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, last, 10)
	b = append(b, '/')
	if size < 0 {
		return string(append(b, '*'))
	}
	return string(strconv.AppendInt(b, size, 10))
}
