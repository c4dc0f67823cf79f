package accesslog

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"headwater/internal/event"
)

// isoMillis is a time of ISO 8601 in UTC.
const isoMillis = "2006-01-02T15:04:05.000Z"

// appendRecord appends the record of a request, a JSON object without white space.
// Its members and their order are MediaStore's. The path has a slash in front, as
// in MediaStore's examples. Durations are in milliseconds, rounded down.
func appendRecord(b []byte, r *event.Request) []byte {
	b = appendString(append(b, `{"Path":`...), "/", r.Path)
	b = appendString(append(b, `,"Requester":`...), r.Requester)
	b = appendString(append(b, `,"AWSAccountId":`...), string(r.Account))
	b = appendString(append(b, `,"RequestID":`...), r.ID)
	b = appendString(append(b, `,"ContainerName":`...), string(r.Container))
	b = appendInt(append(b, `,"TotalTime":`...), r.TotalTime().Milliseconds())
	b = appendInt(append(b, `,"BytesReceived":`...), r.BytesReceived)
	b = appendInt(append(b, `,"BytesSent":`...), r.BytesSent)
	b = appendTime(append(b, `,"ReceivedTime":`...), r.Received)
	b = appendOptional(append(b, `,"Operation":`...), string(r.Operation))
	b = appendOptional(append(b, `,"ErrorCode":`...), r.ErrorCode)
	b = appendAddr(append(b, `,"Source":`...), r.Source)
	b = appendInt(append(b, `,"HTTPStatus":`...), int64(r.Status))
	b = appendInt(append(b, `,"TurnAroundTime":`...), r.TurnaroundTime().Milliseconds())
	b = appendTime(append(b, `,"ExpiresAt":`...), expiresAt(r))
	return append(b, '}')
}

// expiresAt returns when the object expires, zero for never and for requests that
// are not about an object.
func expiresAt(r *event.Request) time.Time {
	switch r.Operation {
	case event.PutObject, event.GetObject, event.DescribeObject, event.DeleteObject:
		return r.ExpiresAt
	default:
		return time.Time{}
	}
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	return append(t.UTC().AppendFormat(append(b, '"'), isoMillis), '"')
}

// appendAddr appends an address without its zone, which only means something on
// this machine and may have any character.
func appendAddr(b []byte, addr netip.Addr) []byte {
	if !addr.IsValid() {
		return append(b, "null"...)
	}
	return append(addr.Unmap().WithZone("").AppendTo(append(b, '"')), '"')
}

func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendString(b, s)
}

// appendString appends the parts as one JSON string (RFC 8259, section 7).
func appendString(b []byte, parts ...string) []byte {
	b = append(b, '"')
	for _, s := range parts {
		b = appendEscaped(b, s)
	}
	return append(b, '"')
}

// appendEscaped appends the characters of a JSON string. Bytes that are not UTF-8
// become U+FFFD.
func appendEscaped(b []byte, s string) []byte {
	plain := 0 // s from here to i goes out as it is
	for i := 0; i < len(s); {
		if c := s[i]; ' ' <= c && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r >= utf8.RuneSelf && !(r == utf8.RuneError && size == 1) {
			i += size
			continue
		}
		b = appendEscape(append(b, s[plain:i]...), r)
		i += size
		plain = i
	}
	return append(b, s[plain:]...)
}

// appendEscape appends a character that may not stand in a string as it is.
func appendEscape(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case utf8.RuneError:
		return utf8.AppendRune(b, r)
	default:
		return append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xf])
	}
}
