package policy

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// test compares one of the request's values with one of the policy's.
type test func(*Request, value) bool

// compiler makes a test from one of the policy's values. Its error is the rule
// that the value breaks.
type compiler func(text string, variables bool) (test, error)

// operator is a condition operator as the language names it.
type operator struct {
	name    string
	negated bool // it holds for what the test does not match
	null    bool // it tests whether the key is missing
	compile compiler
}

// operators is the table of all condition operators.
var operators = [...]operator{
	{name: "StringEquals", compile: text(syntax{}, exactCase)},
	{name: "StringNotEquals", compile: text(syntax{}, exactCase), negated: true},
	{name: "StringEqualsIgnoreCase", compile: text(syntax{}, foldCase)},
	{name: "StringNotEqualsIgnoreCase", compile: text(syntax{}, foldCase), negated: true},
	{name: "StringLike", compile: text(syntax{wildcards: true}, exactCase)},
	{name: "StringNotLike", compile: text(syntax{wildcards: true}, exactCase), negated: true},

	{name: "NumericEquals", compile: numeric(equals)},
	{name: "NumericNotEquals", compile: numeric(equals), negated: true},
	{name: "NumericLessThan", compile: numeric(less)},
	{name: "NumericLessThanEquals", compile: numeric(atMost)},
	{name: "NumericGreaterThan", compile: numeric(greater)},
	{name: "NumericGreaterThanEquals", compile: numeric(atLeast)},

	{name: "DateEquals", compile: date(equals)},
	{name: "DateNotEquals", compile: date(equals), negated: true},
	{name: "DateLessThan", compile: date(less)},
	{name: "DateLessThanEquals", compile: date(atMost)},
	{name: "DateGreaterThan", compile: date(greater)},
	{name: "DateGreaterThanEquals", compile: date(atLeast)},

	{name: "Bool", compile: boolean},
	{name: "BinaryEquals", compile: binary},
	{name: "IpAddress", compile: ipAddress},
	{name: "NotIpAddress", compile: ipAddress, negated: true},

	{name: "ArnEquals", compile: arn},
	{name: "ArnLike", compile: arn},
	{name: "ArnNotEquals", compile: arn, negated: true},
	{name: "ArnNotLike", compile: arn, negated: true},

	{name: "Null", compile: boolean, null: true},
}

// operatorUse is an operator with the prefix and suffix it was written with.
type operatorUse struct {
	operator
	quantifier quantifier
	ifExists   bool
}

// parseOperator reads names like "ForAllValues:StringLikeIfExists".
func parseOperator(name string) (use operatorUse, ok bool) {
	name = strings.ToLower(name)
	if rest, ok := strings.CutPrefix(name, "forallvalues:"); ok {
		name, use.quantifier = rest, forAllValues
	} else if rest, ok := strings.CutPrefix(name, "foranyvalue:"); ok {
		name, use.quantifier = rest, forAnyValue
	}
	name, use.ifExists = strings.CutSuffix(name, "ifexists")
	for _, op := range operators {
		if strings.EqualFold(op.name, name) {
			use.operator = op
			return use, !(op.null && use.ifExists)
		}
	}
	return use, false
}

func text(syn syntax, fold caseRule) compiler {
	return func(s string, variables bool) (test, error) {
		t, err := parseTemplate(s, syntax{wildcards: syn.wildcards, variables: variables})
		if err != nil {
			return nil, err
		}
		return func(r *Request, v value) bool { return t.matches(r, v.String(), fold) }, nil
	}
}

func arn(s string, variables bool) (test, error) {
	p, err := parseARNPattern(s, variables)
	if err != nil {
		return nil, err
	}
	return func(r *Request, v value) bool { return p.matches(r, v.String()) }, nil
}

// The relations, of what cmp.Compare says about the request's value and the
// policy's.
func equals(c int) bool  { return c == 0 }
func less(c int) bool    { return c < 0 }
func atMost(c int) bool  { return c <= 0 }
func greater(c int) bool { return c > 0 }
func atLeast(c int) bool { return c >= 0 }

func numeric(relation func(int) bool) compiler {
	return func(s string, _ bool) (test, error) {
		want, ok := parseNumber(s)
		if !ok {
			return nil, errors.New("must be a number")
		}
		return func(_ *Request, v value) bool {
			got, ok := v.number()
			return ok && relation(cmp.Compare(got, want))
		}, nil
	}
}

// parseNumber takes decimal notation only, which strconv goes beyond.
func parseNumber(s string) (float64, bool) {
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

func date(relation func(int) bool) compiler {
	return func(s string, _ bool) (test, error) {
		want, ok := parseDate(s)
		if !ok {
			return nil, errors.New("must be a date, like 2025-11-13 or 2025-11-13T08:00:00Z, or seconds since 1970")
		}
		return func(_ *Request, v value) bool {
			got, ok := v.date()
			return ok && relation(got.Compare(want))
		}, nil
	}
}

// lastEpoch is the end of the year 9999, the last that a date can name.
const lastEpoch = 253402300799

// parseDate takes the profile of ISO 8601 in the W3C note "Date and Time
// Formats", and seconds since 1970. Four digits are a year.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range []string{"2006", "2006-01", time.DateOnly, "2006-01-02T15:04Z07:00", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(seconds, 0), err == nil && 0 <= seconds && seconds <= lastEpoch
}

func boolean(s string, _ bool) (test, error) {
	if !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
		return nil, errors.New("must be true or false")
	}
	return func(_ *Request, v value) bool { return strings.EqualFold(v.String(), s) }, nil
}

func binary(s string, _ bool) (test, error) {
	want, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, errors.New("must be base64")
	}
	return func(_ *Request, v value) bool { return v.String() == string(want) }, nil
}

func ipAddress(s string, _ bool) (test, error) {
	want, ok := parsePrefix(s)
	if !ok {
		return nil, errors.New("must be an IP address or a range, like 203.0.113.0/24 or 2001:db8::/32")
	}
	return func(_ *Request, v value) bool {
		got, ok := v.addr()
		return ok && want.Contains(got)
	}, nil
}

// parsePrefix takes an address without a length for the range of itself. It
// refuses IPv4 written as IPv6 (::ffff:203.0.113.1): requests have it in its
// IPv4 form, and a range that can never match must not look like one that can.
func parsePrefix(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		address, err := netip.ParseAddr(s)
		return netip.PrefixFrom(address, address.BitLen()), err == nil && address.Zone() == "" && !address.Is4In6()
	}
	prefix, err := netip.ParsePrefix(s)
	return prefix, err == nil && !prefix.Addr().Is4In6()
}
