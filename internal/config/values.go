package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"headwater/internal/mediastore"
)

// The functions here read the text of one kind of value and hold it against the
// kind's rule. The messages complete a sentence that begins with the setting's
// name. They repeat the text, except where it may be a secret.

func anything(s string) (string, error) { return s, nil }

func nonempty(s string) (string, error) {
	if s == "" {
		return "", errors.New("must not be empty")
	}
	return s, nil
}

// asIs formats the kinds of strings.
func asIs[T ~string](s T) string { return string(s) }

// words returns a list of strings of any kind.
func words[T ~string](list ...T) []string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return words
}

// oneOf returns a parser that takes one of a few words.
func oneOf[T ~string](allowed ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		if !slices.Contains(allowed, T(s)) {
			return "", fmt.Errorf("is %q: must be %s", s, orList(words(allowed...)))
		}
		return T(s), nil
	}
}

// orList returns "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// number returns a parser for a whole number within bounds.
func number(low, high int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("is %q: must be a whole number from %d to %d", s, low, high)
		}
		return n, nil
	}
}

func parseSize(s string) (ByteSize, error) {
	size, err := parseByteSize(s)
	if err != nil {
		return 0, fmt.Errorf("is %q: %w", s, err)
	}
	return size, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("is %q: must be a duration such as 30s, 5m or 1h30m, and not negative", s)
	}
	return d, nil
}

// formatDuration leaves out the trailing zeros that time.Duration writes.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseListen takes an address to listen on. A name in place of an IP address is
// looked up when the listener opens.
func parseListen(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("is %q: must be HOST:PORT, such as 127.0.0.1:8484, [::1]:8484, or :8484 for every interface", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("is %q: the port must be a number from 0 to 65535", s)
	}
	_, err = netip.ParseAddr(host)
	if host != "" && err != nil && !isDNSName(host) {
		return "", fmt.Errorf("is %q: the host must be an IP address or a DNS name", s)
	}
	return s, nil
}

var regionForm = regexp.MustCompile(`^[a-z]+-[a-z]+-[0-9]$`)

// parseRegion takes what the API's model lets an ARN hold. us-gov-west-1 and
// us-east-10 are not of that form: clients would refuse the ARNs of their
// containers.
func parseRegion(s string) (string, error) {
	if !regionForm.MatchString(s) {
		return "", fmt.Errorf("is %q: must be two words and a digit such as us-east-1, because the ARNs of the API have no room for another form", s)
	}
	return s, nil
}

func parseAccount(s string) (mediastore.AccountID, error) {
	account, err := mediastore.ParseAccountID(s)
	if err != nil {
		return "", fmt.Errorf("is %q: must be %d digits", s, mediastore.AccountIDLength)
	}
	return account, nil
}

// maxDomain leaves room for "<container id>.data." in the 253 characters that a
// DNS name can have (RFC 1035, section 2.3.4).
const maxDomain = 253 - mediastore.ContainerIDLength - len(".data.")

// parseDomain takes a DNS name or nothing. Names are compared without regard to
// case (RFC 4343), so they are kept in lower case.
func parseDomain(s string) (string, error) {
	_, err := netip.ParseAddr(s)
	if s != "" && (err == nil || len(s) > maxDomain || !isDNSName(s)) {
		return "", fmt.Errorf("is %q: must be a DNS name of at most %d characters, such as media.example.com", s, maxDomain)
	}
	return strings.ToLower(s), nil
}

var dnsLabel = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// isDNSName reports whether s consists of labels as RFC 1123, section 2.1, has
// them.
func isDNSName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !dnsLabel.MatchString(label) {
			return false
		}
	}
	return true
}

// parseProxies takes IP addresses and CIDR blocks with commas between them.
func parseProxies(s string) ([]netip.Prefix, error) {
	var proxies []netip.Prefix
	if s == "" {
		return nil, nil
	}
	for entry := range strings.SplitSeq(s, ",") {
		proxy, err := parseProxy(strings.TrimSpace(entry))
		if err != nil {
			return nil, fmt.Errorf("has the entry %q: must be IP addresses or CIDR blocks, such as 10.0.0.0/8,192.0.2.7", strings.TrimSpace(entry))
		}
		proxies = append(proxies, proxy)
	}
	return proxies, nil
}

// parseProxy refuses IPv4 addresses in IPv6 clothes, because clients' addresses
// are compared without them.
func parseProxy(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if addr.Is4In6() || addr.Zone() != "" {
			err = strconv.ErrSyntax
		}
		return netip.PrefixFrom(addr, addr.BitLen()), err
	}
	prefix, err := netip.ParsePrefix(s)
	if prefix.Addr().Is4In6() {
		err = strconv.ErrSyntax
	}
	return prefix.Masked(), err
}

func formatProxies(proxies []netip.Prefix) string {
	entries := make([]string, len(proxies))
	for i, p := range proxies {
		entries[i] = p.String()
		if p.IsSingleIP() {
			entries[i] = p.Addr().String()
		}
	}
	return strings.Join(entries, ",")
}

// levelOf returns a parser that takes one of slog's levels by name.
func levelOf(names []string) func(string) (slog.Level, error) {
	parse := oneOf(names...)
	return func(s string) (level slog.Level, err error) {
		if _, err = parse(s); err == nil {
			err = level.UnmarshalText([]byte(s))
		}
		return level, err
	}
}

func formatLevel(l slog.Level) string { return strings.ToLower(l.String()) }

var accessKeyForm = regexp.MustCompile(`^\w{16,128}$`)

// parseAccessKey does not repeat the text: who mixes the two keys up would find
// the secret in the log.
func parseAccessKey(s string) (string, error) {
	if s != "" && !accessKeyForm.MatchString(s) {
		return "", errors.New("must be 16 to 128 letters, digits or underscores")
	}
	return s, nil
}

var secretKeyForm = regexp.MustCompile(`^[!-~]{16,128}$`)

func parseSecretKey(s string) (Secret, error) {
	if s != "" && !secretKeyForm.MatchString(s) {
		return Secret{}, errors.New("must be 16 to 128 printable ASCII characters, without spaces or line ends")
	}
	return NewSecret(s), nil
}
