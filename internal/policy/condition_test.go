package policy

import (
	"fmt"
	"testing"
	"time"
)

// holds reports whether a statement with the condition applies to the request.
func holds(t *testing.T, condition string, r *Request) bool {
	t.Helper()
	document := statementWith(anybody, anyAction, everything+`, "Condition": `+condition)
	return mustParse(t, document).Evaluate(r).Effect == Allow
}

// operatorCases has, for every operator, a value of a policy with a value of a
// request for which the operator holds and one for which it does not.
var operatorCases = map[string]struct{ policy, holds, fails string }{
	"StringEquals":              {`"News"`, "News", "news"},
	"StringNotEquals":           {`"News"`, "news", "News"},
	"StringEqualsIgnoreCase":    {`"News"`, "nEWS", "new"},
	"StringNotEqualsIgnoreCase": {`"News"`, "new", "nEWS"},
	"StringLike":                {`"n?w*"`, "news/a", "News/a"},
	"StringNotLike":             {`"n?w*"`, "News/a", "news/a"},
	"NumericEquals":             {`"10"`, "10.0", "11"},
	"NumericNotEquals":          {`10`, "11", "1e1"},
	"NumericLessThan":           {`10`, "-9.5", "10"},
	"NumericLessThanEquals":     {`10`, "10", "10.1"},
	"NumericGreaterThan":        {`10`, "10.1", "10"},
	"NumericGreaterThanEquals":  {`10`, "10", "9"},
	"DateEquals":                {`"2025-11-13"`, "2025-11-13T00:00:00Z", "2025-11-13T00:00:01Z"},
	"DateNotEquals":             {`"2025-11-13"`, "2025-11-13T01:00:00Z", "2025-11-13T01:00:00+01:00"},
	"DateLessThan":              {`"2025-11-13T08:00Z"`, "2025-11-13T07:59:59Z", "2025-11-13T08:00:00Z"},
	"DateLessThanEquals":        {`"2025-11"`, "2025-11-01", "2025-11-02"},
	"DateGreaterThan":           {`"2025"`, "2025-01-02", "2025-01-01"},
	"DateGreaterThanEquals":     {`1762992000`, "2025-11-13", "2025-11-12"},
	"Bool":                      {`true`, "True", "false"},
	"BinaryEquals":              {`"aGk="`, "hi", "ho"},
	"IpAddress":                 {`"203.0.113.0/24"`, "203.0.113.255", "203.0.114.0"},
	"NotIpAddress":              {`"2001:db8::/32"`, "2001:db9::1", "2001:db8::1"},
	"ArnEquals":                 {`"arn:aws:sns:*:111122223333:a*"`, "arn:aws:sns:x:111122223333:ab", "arn:aws:sns:x:2:y:111122223333:ab"},
	"ArnLike":                   {`"arn:aws:sns:?:*:a"`, "arn:aws:sns:x::a", "arn:aws:sns:xy::a"},
	"ArnNotEquals":              {`"arn:aws:sns:x:1:a"`, "arn:aws:sns:x:1:b", "arn:aws:sns:x:1:a"},
	"ArnNotLike":                {`"arn:aws:sns:x:1:*"`, "arn:aws:sns:y:1:b", "arn:aws:sns:x:1:a"},
}

func TestOperators(t *testing.T) {
	for _, op := range operators {
		if op.null {
			continue // it has no value to compare: TestNull
		}
		c, ok := operatorCases[op.name]
		if !ok {
			t.Errorf("%s has no case", op.name)
		}
		tests := []struct {
			operator string
			values   []string
			want     bool
		}{
			{op.name, []string{c.holds}, true},
			{op.name, []string{c.fails}, false},
			{op.name, nil, op.negated},
			{op.name, []string{c.fails, c.holds}, !op.negated}, // some match is a match
			{op.name + "IfExists", []string{c.holds}, true},
			{op.name + "IfExists", []string{c.fails}, false},
			{op.name + "IfExists", nil, true},
			{"ForAllValues:" + op.name, []string{c.holds, c.holds}, true},
			{"ForAllValues:" + op.name, []string{c.holds, c.fails}, false},
			{"ForAllValues:" + op.name, nil, true},
			{"ForAnyValue:" + op.name, []string{c.fails, c.holds}, true},
			{"ForAnyValue:" + op.name, []string{c.fails, c.fails}, false},
			{"ForAnyValue:" + op.name, nil, false},
			{"ForAnyValue:" + op.name + "IfExists", nil, true},
			{"ForAnyValue:" + op.name + "IfExists", []string{c.fails}, false},
		}
		for _, test := range tests {
			condition := fmt.Sprintf(`{%q: {"test:Key": %s}}`, test.operator, c.policy)
			if got := holds(t, condition, request(with("Test:key", test.values...))); got != test.want {
				t.Errorf("%s with %q = %v, want %v", condition, test.values, got, test.want)
			}
		}
	}
}

// TestUnreadableValues: a value of the request that is not what the operator
// compares is no match, so a negated operator holds.
func TestUnreadableValues(t *testing.T) {
	for _, op := range []string{
		"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThan", "DateEquals", "DateNotEquals",
		"DateLessThan", "DateGreaterThan", "Bool", "IpAddress", "NotIpAddress", "ArnLike", "ArnNotLike",
	} {
		o, _ := parseOperator(op)
		condition := fmt.Sprintf(`{%q: {"test:Key": %s}}`, op, operatorCases[op].policy)
		if got := holds(t, condition, request(with("test:Key", "odd"))); got != o.negated {
			t.Errorf("%s = %v, want %v", condition, got, o.negated)
		}
	}
}

func TestNull(t *testing.T) {
	tests := []struct {
		condition string
		request   *Request
		want      bool
	}{
		{`{"Null": {"test:Key": "true"}}`, request(), true},
		{`{"Null": {"test:Key": false}}`, request(), false},
		{`{"Null": {"test:Key": "true"}}`, request(with("test:Key", "")), false},
		{`{"Null": {"test:Key": "false"}}`, request(with("test:Key", "a", "b")), true},
		{`{"Null": {"test:Key": ["true", "false"]}}`, request(), true},
		{`{"Null": {"aws:SecureTransport": "false"}}`, request(plainHTTP), true},
		{`{"Null": {"aws:Referer": "true"}}`, request(), true},
		{`{"ForAllValues:Null": {"test:Key": "true"}}`, request(), true},
	}
	for _, test := range tests {
		if got := holds(t, test.condition, test.request); got != test.want {
			t.Errorf("%s = %v, want %v", test.condition, got, test.want)
		}
	}
}

func TestConditions(t *testing.T) {
	tests := []struct {
		name, condition string
		request         *Request
		want            bool
	}{
		{"none", `{}`, request(), true},
		{"an empty operator", `{"Bool": {}}`, request(), true},
		{"values are alternatives", `{"StringEquals": {"aws:UserAgent": ["a", "b"]}}`, request(agent("b")), true},
		{"negated values are all excluded", `{"StringNotEquals": {"aws:UserAgent": ["a", "b"]}}`, request(agent("b")), false},
		{"negated values let others pass", `{"StringNotEquals": {"aws:UserAgent": ["a", "b"]}}`, request(agent("c")), true},
		{"keys must all hold", `{"StringEquals": {"aws:UserAgent": "a", "aws:Referer": "r"}}`, request(agent("a")), false},
		{"operators must all hold", `{"StringEquals": {"aws:UserAgent": "a"}, "Bool": {"aws:SecureTransport": "false"}}`, request(agent("a")), false},
		{"names in any case", `{"stringequals": {"AWS:USERAGENT": "a"}}`, request(agent("a")), true},
		{"wildcards mean nothing to StringEquals", `{"StringEquals": {"aws:UserAgent": "a*"}}`, request(agent("ab")), false},
		{"a single address", `{"IpAddress": {"aws:SourceIp": "198.51.100.7"}}`, request(), true},
		{"a range with host bits", `{"IpAddress": {"aws:SourceIp": "198.51.100.9/24"}}`, request(), true},
		{"IPv4 is not in an IPv6 range", `{"IpAddress": {"aws:SourceIp": "::/0"}}`, request(), false},
		{"all tag keys are known", `{"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]}}`, request(with("aws:TagKeys", "cost", "team")), true},
		{"a tag key is not", `{"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}`, request(with("aws:TagKeys", "cost", "team")), false},
		{"a tag in another case", `{"StringEquals": {"aws:ResourceTag/Team": "a"}}`, request(with("aws:resourcetag/team", "a")), true},
		{"an ARN pattern for all", `{"ArnLike": {"aws:PrincipalArn": "*"}}`, request(by(Root(owner))), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := holds(t, test.condition, test.request); got != test.want {
				t.Errorf("%s = %v, want %v", test.condition, got, test.want)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	user := User(owner, "live/anna", "AIDA1")
	session := AssumedRole(owner, "live/publisher", "AROA1", "encoder7")
	tests := []struct {
		key, want string // "" when missing
		request   *Request
	}{
		{"aws:CurrentTime", "2025-11-13T08:30:00Z", request()},
		{"aws:CurrentTime", "", request(func(r *Request) { r.Context.CurrentTime = time.Time{} })},
		{"aws:EpochTime", "1763022600", request()},
		{"aws:PrincipalAccount", "anonymous", request()},
		{"aws:PrincipalAccount", owner, request(by(user))},
		{"aws:PrincipalArn", "", request()},
		{"aws:PrincipalArn", "arn:aws:iam::111122223333:root", request(by(Root(owner)))},
		{"aws:PrincipalArn", "arn:aws:iam::111122223333:user/live/anna", request(by(user))},
		{"aws:PrincipalArn", "arn:aws:iam::111122223333:role/live/publisher", request(by(session))},
		{"aws:PrincipalIsAWSService", "false", request()},
		{"aws:PrincipalType", "Anonymous", request()},
		{"aws:PrincipalType", "Account", request(by(Root(owner)))},
		{"aws:PrincipalType", "User", request(by(user))},
		{"aws:PrincipalType", "AssumedRole", request(by(session))},
		{"aws:Referer", "", request()},
		{"aws:Referer", "s3cret", request(referer("s3cret"))},
		{"aws:RequestedRegion", "us-west-2", request()},
		{"aws:SecureTransport", "true", request()},
		{"aws:SecureTransport", "false", request(plainHTTP)},
		{"aws:SourceIp", "198.51.100.7", request()},
		{"aws:SourceIp", "", &Request{}},
		{"aws:UserAgent", "Lavf/61.7.100", request()},
		{"aws:userid", "", request()},
		{"aws:userid", owner, request(by(Root(owner)))},
		{"aws:userid", "AIDA1", request(by(user))},
		{"aws:userid", "AROA1:encoder7", request(by(session))},
		{"aws:username", "", request(by(Root(owner)))},
		{"aws:username", "anna", request(by(user))},
		{"aws:username", "", request(by(session))},
		{"aws:ViaAWSService", "false", request()},
		{"aws:SomethingNew", "", request()},
		{"aws:SomethingNew", "x", request(with("AWS:somethingnew", "x"))},
	}
	tested := map[string]bool{}
	for _, test := range tests {
		tested[test.key] = true
		condition := fmt.Sprintf(`{"StringEquals": {%q: %q}}`, test.key, test.want)
		if test.want == "" {
			condition = fmt.Sprintf(`{"Null": {%q: "true"}}`, test.key)
		}
		if !holds(t, condition, test.request) {
			t.Errorf("%s does not hold", condition)
		}
	}
	for _, k := range keys {
		if !tested[k.name] {
			t.Errorf("%s is not tested", k.name)
		}
	}
}

func TestTimes(t *testing.T) {
	tests := []struct {
		condition string
		want      bool
	}{
		{`{"DateEquals": {"aws:CurrentTime": "2025-11-13T08:30:00Z"}}`, true},
		{`{"DateEquals": {"aws:CurrentTime": "2025-11-13T09:30+01:00"}}`, true},
		{`{"DateEquals": {"aws:CurrentTime": "1763022600"}}`, true},
		{`{"DateEquals": {"aws:EpochTime": "2025-11-13T08:30:00.000Z"}}`, true},
		{`{"NumericEquals": {"aws:EpochTime": 1763022600}}`, true},
		{`{"DateGreaterThan": {"aws:CurrentTime": "2025-11-01"}, "DateLessThan": {"aws:CurrentTime": "2025-12-01"}}`, true},
		{`{"DateLessThan": {"aws:CurrentTime": "2025"}}`, false},
	}
	for _, test := range tests {
		if got := holds(t, test.condition, request()); got != test.want {
			t.Errorf("%s = %v, want %v", test.condition, got, test.want)
		}
	}
}
