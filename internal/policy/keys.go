package policy

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// key is a condition key. Keys that are not in the table, and so have no get,
// are looked up among what was added to the Context.
type key struct {
	name string // in lower case when it is not in the table
	get  func(*Request) value
}

// keys is the table of the keys that every request can answer. AWS documents
// which of them an anonymous request lacks: it has no ARN, name or ID, but an
// account, called anonymous.
var keys = [...]key{
	{"aws:CurrentTime", func(r *Request) value { return timeValue(isDate, r.Context.CurrentTime) }},
	{"aws:EpochTime", func(r *Request) value { return timeValue(isEpoch, r.Context.CurrentTime) }},
	{"aws:PrincipalAccount", principalAccount},
	{"aws:PrincipalArn", principalARN},
	{"aws:PrincipalIsAWSService", func(*Request) value { return boolValue(false) }},
	{"aws:PrincipalType", func(r *Request) value { return textValue(string(r.Principal.Type)) }},
	{"aws:Referer", func(r *Request) value { return textValue(r.Context.Referer) }},
	{"aws:RequestedRegion", func(r *Request) value { return textValue(r.Context.RequestedRegion) }},
	{"aws:SecureTransport", func(r *Request) value { return boolValue(r.Context.SecureTransport) }},
	{"aws:SourceIp", sourceIP},
	{"aws:UserAgent", func(r *Request) value { return textValue(r.Context.UserAgent) }},
	{"aws:userid", func(r *Request) value { return textValue(r.Principal.UserID) }},
	{"aws:username", func(r *Request) value { return textValue(r.Principal.UserName) }},
	{"aws:ViaAWSService", func(*Request) value { return boolValue(false) }},
}

// principalARN is the role's for a session, so that a policy that asks for it
// need not know the names of sessions.
func principalARN(r *Request) value {
	if r.Principal.RoleARN != "" {
		return textValue(r.Principal.RoleARN)
	}
	return textValue(r.Principal.ARN)
}

func principalAccount(r *Request) value {
	if r.Principal.Account == "" {
		return textValue("anonymous")
	}
	return textValue(r.Principal.Account)
}

// sourceIP takes an IPv4 address that a dual-stack listener saw as IPv6 for what
// it is: policies name it in its IPv4 form.
func sourceIP(r *Request) value {
	if !r.Context.SourceIP.IsValid() {
		return value{}
	}
	return value{kind: isAddress, address: r.Context.SourceIP.Unmap().WithZone("")}
}

// isKey reports whether s has the form of a key: a prefix, a colon and a name.
func isKey(s string) bool {
	prefix, name, ok := strings.Cut(s, ":")
	return ok && prefix != "" && name != "" && !strings.ContainsAny(s, "${}*?'\"")
}

func findKey(name string) key {
	for _, k := range keys {
		if strings.EqualFold(k.name, name) {
			return k
		}
	}
	return key{name: strings.ToLower(name)}
}

// values returns what the request has under the key, nothing when it is missing.
func (k *key) values(r *Request) values {
	if k.get == nil {
		return values{list: r.Context.extra[k.name]}
	}
	return values{one: k.get(r)}
}

// values are one value from the table or a list of added ones.
type values struct {
	one  value
	list []string
}

func (vs *values) len() int {
	if vs.one.kind != isAbsent {
		return 1
	}
	return len(vs.list)
}

func (vs *values) at(i int) value {
	if vs.one.kind != isAbsent {
		return vs.one
	}
	return value{kind: isText, text: vs.list[i]}
}

type valueKind uint8

const (
	isAbsent valueKind = iota
	isText
	isAddress
	isDate  // a time, written as a date
	isEpoch // a time, written in seconds since 1970
)

// value is one value of a condition key in a request. It is kept in the form
// that it has there and turned into another only when an operator asks for it.
type value struct {
	kind    valueKind
	text    string
	address netip.Addr
	time    time.Time
}

// textValue takes an empty text for an absent one.
func textValue(s string) value {
	if s == "" {
		return value{}
	}
	return value{kind: isText, text: s}
}

func boolValue(b bool) value { return value{kind: isText, text: strconv.FormatBool(b)} }

func timeValue(kind valueKind, t time.Time) value {
	if t.IsZero() {
		return value{}
	}
	return value{kind: kind, time: t.UTC().Truncate(time.Second)}
}

// String returns the value as string operators and variables see it.
func (v value) String() string {
	switch v.kind {
	case isAddress:
		return v.address.String()
	case isDate:
		return v.time.Format(time.RFC3339)
	case isEpoch:
		return strconv.FormatInt(v.time.Unix(), 10)
	default:
		return v.text
	}
}

func (v value) addr() (netip.Addr, bool) {
	if v.kind == isAddress {
		return v.address, true
	}
	address, err := netip.ParseAddr(v.text)
	return address.Unmap(), err == nil
}

func (v value) date() (time.Time, bool) {
	if v.kind == isDate || v.kind == isEpoch {
		return v.time, true
	}
	return parseDate(v.text)
}

func (v value) number() (float64, bool) {
	if v.kind == isEpoch {
		return float64(v.time.Unix()), true
	}
	return parseNumber(v.text)
}
