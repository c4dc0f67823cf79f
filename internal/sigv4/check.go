package sigv4

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"headwater/internal/mediastore"
)

const (
	maxSkew    = 15 * time.Minute
	maxExpires = 7 * 24 * time.Hour
)

// parseDate reads the time of signing. X-Amz-Date is ISO 8601 basic; the Date
// header, which some clients sign instead, is an HTTP date (RFC 9110, section
// 5.6.7) or, from botocore, an Internet message's (RFC 5322, section 3.3).
func parseDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, incomplete(fieldDate, "is missing, and so is Date")
	}
	for _, layout := range [...]string{dateFormat, http.TimeFormat, time.RFC1123Z} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, incomplete(fieldDate, "must have the form YYYYMMDDTHHMMSSZ")
}

func parseExpires(s string) (time.Duration, error) {
	seconds, err := strconv.ParseUint(s, 10, 32)
	expires := time.Duration(seconds) * time.Second
	if err != nil || expires < time.Second || expires > maxExpires {
		return 0, incomplete(fieldExpires, "must be a number of seconds from 1 to %d", maxExpires/time.Second)
	}
	return expires, nil
}

func checkPayloadHash(s string) error {
	if strings.HasPrefix(s, "STREAMING-") {
		return mediastore.Invalid(fieldContentSHA256, "aws-chunked bodies (%.40s) are not supported: send the SHA-256 of the body, or %s", s, unsignedPayload)
	}
	_, err := hex.DecodeString(s)
	if s != unsignedPayload && (err != nil || len(s) != len(emptyHash)) {
		return mediastore.Invalid(fieldContentSHA256, "must be %d hexadecimal digits or %s", len(emptyHash), unsignedPayload)
	}
	return nil
}

// CheckScope makes sure that the credential was meant for this region and
// service and for the day of the request. Otherwise it returns a
// KindInvalidSignature error that says what was expected.
func (s *Signature) CheckScope(region, service string) error {
	day := s.time.Format(dateFormat)[:dayLength]
	switch {
	case s.scope.region != region:
		return refused("Credential should be scoped to the region %s, not %.64s", region, s.scope.region)
	case s.scope.service != service:
		return refused("Credential should be scoped to the service %s, not %.64s", service, s.scope.service)
	case s.scope.date != day:
		return refused("Credential should be scoped to %s, the day of X-Amz-Date, not %.64s", day, s.scope.date)
	}
	return nil
}

// CheckTime returns a KindRequestExpired error unless the request was signed
// within 15 minutes of now or, when it is presigned, is still valid. A presigned
// request may come from a clock that is up to 15 minutes ahead, too.
func (s *Signature) CheckTime(now time.Time) error {
	age := now.Sub(s.time)
	switch {
	case s.presigned() && age > s.expires:
		return mediastore.Errorf(mediastore.KindRequestExpired, "Request has expired: it was valid until %s, and the time here is %s", stamp(s.time.Add(s.expires)), stamp(now))
	case age < -maxSkew, !s.presigned() && age > maxSkew:
		return mediastore.Errorf(mediastore.KindRequestExpired, "The request was signed at %s, more than 15 minutes from the time here, %s", stamp(s.time), stamp(now))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(dateFormat) }
