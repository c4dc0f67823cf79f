package policy

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVariables(t *testing.T) {
	anna := User(owner, "live/anna", "AIDA1")
	tests := []struct {
		name, resource string
		request        *Request
		want           bool
	}{
		{"user name", "${aws:username}/*", request(by(anna), resource(container+"/anna/a")), true},
		{"in any case", "${AWS:UserName}/*", request(by(anna), resource(container+"/anna/a")), true},
		{"of another", "${aws:username}/*", request(by(anna), resource(container+"/bob/a")), false},
		{"missing", "${aws:username}*", request(resource(container + "/")), false},
		{"missing with default", "${aws:username, 'guest'}/*", request(resource(container + "/guest/a")), true},
		{"default without space", "${aws:username,'guest'}/*", request(resource(container + "/guest/a")), true},
		{"default is not for what is there", "${aws:username, 'guest'}/*", request(by(anna), resource(container+"/guest/a")), false},
		{"default is literal", "${aws:username, '*'}", request(resource(container + "/guest")), false},
		{"default with a brace and a colon", "${aws:username, 'a}:b'}", request(resource(container + "/a}:b")), true},
		{"empty default", "x${aws:username, ''}", request(resource(container + "/x")), true},
		{"address", "${aws:SourceIp}", request(resource(container + "/198.51.100.7")), true},
		{"two", "${aws:RequestedRegion}/${aws:PrincipalType}", request(resource(container + "/us-west-2/Anonymous")), true},
		{"wildcard in the value is literal", "${aws:Referer}", request(referer("*"), resource(container+"/abc")), false},
		{"wildcard in the value matches itself", "${aws:Referer}", request(referer("*"), resource(container+"/*")), true},
		{"variable in the value is literal", "${aws:Referer}", request(referer("${aws:username}"), by(anna), resource(container+"/anna")), false},
		{"several values", "${test:Key}", request(with("test:Key", "a", "b"), resource(container+"/a")), false},
		{"several values with default", "${test:Key, 'a'}", request(with("test:Key", "a", "b"), resource(container+"/a")), false},
		{"one added value", "${test:Key}", request(with("test:Key", "a"), resource(container+"/a")), true},
		{"star", "a${*}", request(resource(container + "/ab")), false},
		{"star itself", "a${*}", request(resource(container + "/a*")), true},
		{"question mark", "a${?}", request(resource(container + "/a?")), true},
		{"dollar", "${$}{aws:username}", request(by(anna), resource(container+"/${aws:username}")), true},
		{"dollar without brace", "$a", request(resource(container + "/$a")), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			document := statementWith(anybody, anyAction, `"Resource": "`+container+"/"+test.resource+`"`)
			if got := mustParse(t, document).Evaluate(test.request).Effect == Allow; got != test.want {
				t.Errorf("%q matches %q: %v, want %v", test.resource, test.request.Resource, got, test.want)
			}
		})
	}
}

func TestVariablesInConditions(t *testing.T) {
	anna := by(User(owner, "anna", "AIDA1"))
	tests := []struct {
		condition string
		request   *Request
		want      bool
	}{
		{`{"StringEquals": {"aws:Referer": "${aws:username}"}}`, request(anna, referer("anna")), true},
		{`{"StringEquals": {"aws:Referer": "${aws:username}"}}`, request(referer("anna")), false},
		{`{"StringNotEquals": {"aws:Referer": "${aws:username}"}}`, request(referer("anna")), true},
		{`{"StringEqualsIgnoreCase": {"aws:Referer": "x${aws:username}"}}`, request(anna, referer("XANNA")), true},
		{`{"StringLike": {"aws:Referer": "https://*/${aws:username}/?"}}`, request(anna, referer("https://h/p/anna/1")), true},
		{`{"ArnLike": {"test:Key": "arn:aws:iam::*:user/${aws:username}"}}`, request(anna, with("test:Key", "arn:aws:iam::1:user/anna")), true},
		{`{"ArnLike": {"test:Key": "arn:aws:iam::${aws:PrincipalAccount}:*"}}`, request(anna, with("test:Key", "arn:aws:iam::"+owner+":x")), true},
		{`{"ArnLike": {"test:Key": "arn:aws:sns:${aws:RequestedRegion, 'a:b'}:1:x"}}`, request(with("test:Key", "arn:aws:sns:us-west-2:1:x")), true},
		{`{"ArnLike": {"test:Key": "arn:aws:sns:${aws:username, 'a:b'}:1:x"}}`, request(with("test:Key", "arn:aws:sns:a:b:1:x")), false},
	}
	for _, test := range tests {
		if got := holds(t, test.condition, test.request); got != test.want {
			t.Errorf("%s = %v, want %v", test.condition, got, test.want)
		}
	}
}

// TestVersion: before 2012-10-17, a variable is text like any other.
func TestVersion(t *testing.T) {
	for _, version := range []string{"", `"Version": "2008-10-17", `} {
		d := mustParse(t, `{`+version+`"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*",
			"Resource": "`+container+`/${aws:username}", "Condition": {"StringNotEquals": {"aws:Referer": "${"}}}}`)
		r := request(by(User(owner, "anna", "AIDA1")), resource(container+"/${aws:username}"))
		if got := d.Evaluate(r).Effect; got != Allow {
			t.Errorf("%s: literal: %v", version, got)
		}
		r.Resource = container + "/anna"
		if got := d.Evaluate(r).Effect; got != ImplicitDeny {
			t.Errorf("%s: substituted: %v", version, got)
		}
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"**", "ab", true},
		{"?", "", false},
		{"?", "é", true},
		{"??", "é", false},
		{"a*", "a", true},
		{"*a", "bab", false},
		{"*ab", "aab", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*?", "a", false},
		{"*.ts", "a.ts.ts", true},
		{"*a?c*", "xabxabcx", true},
		{"A", "a", false},
	}
	for _, test := range tests {
		if got := glob(t, test.pattern, test.text); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.text, got, test.want)
		}
	}
}

func glob(t *testing.T, pattern, text string) bool {
	t.Helper()
	p, err := parseTemplate(pattern, syntax{wildcards: true})
	if err != nil {
		t.Fatal(err)
	}
	return p.matches(nil, text, exactCase)
}

// TestGlobManyStars would take longer than the universe has been there with a
// matcher that tries every way to share the text among the stars.
func TestGlobManyStars(t *testing.T) {
	if glob(t, strings.Repeat("a*", 1000)+"b", strings.Repeat("a", 4000)) {
		t.Error("a text without b matches a pattern that ends with b")
	}
}

// referenceGlob is the obvious matcher, on characters, with a table of what
// prefix of the pattern describes what prefix of the text.
func referenceGlob(pattern, text []rune) bool {
	row := make([]bool, len(text)+1)
	row[0] = true
	for _, p := range pattern {
		next := make([]bool, len(text)+1)
		next[0] = p == '*' && row[0]
		for i, c := range text {
			next[i+1] = p == '*' && (row[i+1] || next[i]) || (p == '?' || p == c) && p != '*' && row[i]
		}
		row = next
	}
	return row[len(text)]
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "aXXbYc")
	f.Add("*?*", "é")
	f.Add("**a**", "bab")
	f.Add("*.ts*", "seg.ts.tmp")
	f.Add("a*a*a", "aa")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || len(pattern)*len(text) > 1<<20 {
			return
		}
		want := referenceGlob([]rune(pattern), []rune(text))
		if got := glob(t, pattern, text); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, text, got, want)
		}
	})
}

// FuzzVariable: whatever replaces a variable stands for itself and for nothing
// else, and quoting with ${*}, ${?} and ${$} takes the meaning from any text.
func FuzzVariable(f *testing.F) {
	f.Add("*", "abc")
	f.Add("${aws:userid}", "x")
	f.Add("a?", "ab")
	f.Add("\xff", "\ufffd")
	all := syntax{wildcards: true, variables: true}
	quote := strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")
	f.Fuzz(func(t *testing.T, value, text string) {
		byValue, err := parseTemplate("<${aws:Referer, ''}>", all)
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := parseTemplate("<"+quote.Replace(value)+">", all)
		if err != nil {
			t.Fatalf("quoted %q: %v", value, err)
		}
		r := request(referer(value))
		for _, text := range []string{value, text} {
			want := text == value
			if got := byValue.matches(r, "<"+text+">", exactCase); got != want {
				t.Errorf("variable with %q matches %q: %v", value, text, got)
			}
			if got := quoted.matches(r, "<"+text+">", exactCase); got != want {
				t.Errorf("quoted %q matches %q: %v", value, text, got)
			}
		}
	})
}
