package policy

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/mediastore"
)

// broken is a statement with some of its elements replaced.
func broken(elements string) string {
	return `{"Version": "2012-10-17", "Statement": [{` + elements + `}]}`
}

const (
	allows = `"Effect": "Allow"`
	rest   = allows + `, ` + anybody + `, ` + anyAction + `, ` + everything
)

func withCondition(condition string) string { return broken(rest + `, "Condition": ` + condition) }

func TestParseErrors(t *testing.T) {
	tests := []struct {
		document string
		field    string
		message  string // a part of it
	}{
		{``, "Policy", "is not JSON: unexpected end of JSON input at byte 0"},
		{`{"Version": "2012-10-17",}`, "Policy", "at byte 26"},
		{`{} {}`, "Policy", "is not JSON"},
		{`[]`, "Policy", "must be a JSON object"},
		{`null`, "Policy", "must be a JSON object"},
		{strings.Repeat("[", 9) + strings.Repeat("]", 9), "Policy: [0][0][0][0][0][0][0][0]", "nested too deeply"},
		{`{}`, "Policy", "must have Statement"},
		{`{"Statement": []}`, "Policy: Statement", "must not be an empty list"},
		{`{"Statement": "x"}`, "Policy: Statement", "must be an object"},
		{`{"Statement": [[]]}`, "Policy: Statement[0]", "must be an object"},
		{`{"Statement": {}, "Statement": {}}`, "Policy: Statement", "occurs twice"},
		{`{"Statement": {}, "Stat\u0065ment": {}}`, "Policy: Statement", "occurs twice"},
		{`{"Version": "2012-10-18", "Statement": []}`, "Policy: Version", "must be 2012-10-17 or 2008-10-17"},
		{`{"Version": 2012, "Statement": []}`, "Policy: Version", "must be 2012-10-17 or 2008-10-17"},
		{`{"Id": 1, "Statement": []}`, "Policy: Id", "must be a string"},
		{`{"statement": []}`, "Policy: statement", "is not an element"},

		{broken(``), "Policy: Statement[0]", "must have Effect"},
		{broken(`"Effect": "allow"`), "Policy: Statement[0].Effect", "must be Allow or Deny"},
		{broken(`"Effect": ["Allow"]`), "Policy: Statement[0].Effect", "must be Allow or Deny"},
		{broken(rest + `, "Extra": 1`), "Policy: Statement[0].Extra", "is not an element"},
		{broken(rest + `, "Effect": "Deny"`), "Policy: Statement[0].Effect", "occurs twice"},
		{broken(rest + `, "Sid": 1`), "Policy: Statement[0].Sid", "must be a string"},
		{broken(rest + `, "Sid": "a/b"`), "Policy: Statement[0].Sid", "may only use letters, digits, spaces"},
		{
			`{"Statement": [{` + rest + `, "Sid": "a"}, {` + rest + `, "Sid": "a"}]}`,
			"Policy: Statement[1].Sid", "unique",
		},

		{broken(allows + `, ` + anyAction + `, ` + everything), "Policy: Statement[0]", "must have Principal or NotPrincipal"},
		{broken(rest + `, "NotPrincipal": "*"`), "Policy: Statement[0]", "must not have both Principal and NotPrincipal"},
		{broken(rest + `, "NotAction": "*"`), "Policy: Statement[0]", "must not have both Action and NotAction"},
		{broken(rest + `, "NotResource": "*"`), "Policy: Statement[0]", "must not have both Resource and NotResource"},
		{broken(allows + `, ` + anybody + `, ` + everything), "Policy: Statement[0]", "must have Action or NotAction"},
		{broken(allows + `, ` + anybody + `, ` + anyAction), "Policy: Statement[0]", "must have Resource or NotResource"},

		{statementWith(`"Principal": "arn:aws:iam::111122223333:root"`, anyAction, everything), "Policy: Statement.Principal", `must be "*" or an object`},
		{statementWith(`"Principal": ["*"]`, anyAction, everything), "Policy: Statement.Principal", `must be "*" or an object`},
		{statementWith(`"Principal": {}`, anyAction, everything), "Policy: Statement.Principal", `must be "*" or an object`},
		{statementWith(`"Principal": {"Aws": "*"}`, anyAction, everything), "Policy: Statement.Principal.Aws", "is not an element"},
		{statementWith(`"Principal": {"AWS": []}`, anyAction, everything), "Policy: Statement.Principal.AWS", "empty list"},
		{statementWith(`"Principal": {"AWS": [1]}`, anyAction, everything), "Policy: Statement.Principal.AWS[0]", "must be a string"},
		{statementWith(`"Principal": {"Service": ""}`, anyAction, everything), "Policy: Statement.Principal.Service", "must not be empty"},

		{statementWith(anybody, `"Action": []`, everything), "Policy: Statement.Action", "empty list"},
		{statementWith(anybody, `"Action": ["*", null]`, everything), "Policy: Statement.Action[1]", "must be a string"},
		{statementWith(anybody, `"Action": "GetObject"`, everything), "Policy: Statement.Action", `"GetObject" must be *`},
		{statementWith(anybody, `"Action": "media*:GetObject"`, everything), "Policy: Statement.Action", "must be *"},
		{statementWith(anybody, `"Action": "mediastore:"`, everything), "Policy: Statement.Action", "must be *"},
		{statementWith(anybody, `"NotAction": "mediastore:Get Object"`, everything), "Policy: Statement.NotAction", "must be *"},

		{statementWith(anybody, anyAction, `"Resource": "container/live/*"`), "Policy: Statement.Resource", "must be * or an ARN"},
		{statementWith(anybody, anyAction, `"Resource": "arn"`), "Policy: Statement.Resource", "must be * or an ARN"},
		{statementWith(anybody, anyAction, `"Resource": "a*:aws:s3:::x"`), "Policy: Statement.Resource", "must be * or an ARN"},
		{statementWith(anybody, anyAction, `"Resource": ""`), "Policy: Statement.Resource", "must be * or an ARN"},
		{statementWith(anybody, anyAction, `"NotResource": ["*", "arn:aws:s3:::${aws:username"]`), "Policy: Statement.NotResource[1]", "malformed policy variable"},
		{statementWith(anybody, anyAction, `"Resource": "arn:aws:s3:::${username}"`), "Policy: Statement.Resource", "malformed policy variable"},
		{statementWith(anybody, anyAction, `"Resource": "arn:aws:s3:::${aws:username, guest}"`), "Policy: Statement.Resource", "malformed policy variable"},
		{statementWith(anybody, anyAction, `"Resource": "arn:aws:s3:::${aws:username, 'guest'"`), "Policy: Statement.Resource", "malformed policy variable"},

		{withCondition(`[]`), "Policy: Statement[0].Condition", "must be an object of operators"},
		{withCondition(`{"StringIs": {}}`), "Policy: Statement[0].Condition.StringIs", "is not a condition operator"},
		{withCondition(`{"NullIfExists": {}}`), "Policy: Statement[0].Condition.NullIfExists", "is not a condition operator"},
		{withCondition(`{"ForSomeValues:Bool": {}}`), "Policy: Statement[0].Condition.ForSomeValues:Bool", "is not a condition operator"},
		{withCondition(`{"Bool": true}`), "Policy: Statement[0].Condition.Bool", "must be an object of condition keys"},
		{withCondition(`{"Bool": {}, "bool": {}}`), "Policy: Statement[0].Condition.bool", "occurs twice"},
		{withCondition(`{"Bool": {"SecureTransport": "true"}}`), "Policy: Statement[0].Condition.Bool.SecureTransport", "is not a condition key"},
		{withCondition(`{"Bool": {"aws:SecureTransport": "yes"}}`), "Policy: Statement[0].Condition.Bool.aws:SecureTransport", `"yes" must be true or false`},
		{withCondition(`{"Bool": {"aws:SecureTransport": []}}`), "Policy: Statement[0].Condition.Bool.aws:SecureTransport", "empty list"},
		{withCondition(`{"Bool": {"aws:SecureTransport": null}}`), "Policy: Statement[0].Condition.Bool.aws:SecureTransport", "must be a string, a number or a boolean"},
		{withCondition(`{"Bool": {"aws:SecureTransport": [["true"]]}}`), "Policy: Statement[0].Condition.Bool.aws:SecureTransport[0]", "must be a string, a number or a boolean"},
		{withCondition(`{"IpAddress": {"aws:SourceIp": "a", "aws:sourceip": "b"}}`), "Policy: Statement[0].Condition.IpAddress.aws:sourceip", "occurs twice"},
		{withCondition(`{"Null": {"aws:Referer": "maybe"}}`), "Policy: Statement[0].Condition.Null.aws:Referer", "must be true or false"},
		{withCondition(`{"BinaryEquals": {"a:b": "not base64"}}`), "Policy: Statement[0].Condition.BinaryEquals.a:b", "must be base64"},
		{withCondition(`{"ArnLike": {"a:b": ["*", "user/anna"]}}`), "Policy: Statement[0].Condition.ArnLike.a:b[1]", "must be * or an ARN"},
		{withCondition(`{"StringLike": {"a:b": "${c"}}`), "Policy: Statement[0].Condition.StringLike.a:b", "malformed policy variable"},
		{withCondition(`{"StringLike": {"a:b": "${aws:PrincipalTag/${aws:username}}"}}`), "Policy: Statement[0].Condition.StringLike.a:b", "malformed policy variable"},
	}
	for _, test := range tests {
		t.Run(test.document, func(t *testing.T) {
			checkInvalid(t, parseError(t, Parse, test.document), test.field, test.message)
		})
	}
}

func TestBadValues(t *testing.T) {
	bad := map[string][]string{
		"NumericEquals": {"", "ten", "0x10", "1_000", "NaN", "Inf", "1e999", "1 "},
		"DateEquals":    {"", "yesterday", "2025-13", "2025-02-30", "2025-11-13T08:00:00", "2025-11-13 08:00:00Z", "-1", "1.5", "1763022600000"},
		"IpAddress": {
			"", "localhost", "203.0.113", "203.0.113.256", "203.0.113.0/33", "2001:db8::/129", "fe80::1%eth0", "203.0.113.*",
			"::ffff:203.0.113.1", "::ffff:203.0.113.0/120", "${aws:SourceIp}",
		},
	}
	for operator, values := range bad {
		for _, value := range values {
			document := withCondition(`{"` + operator + `": {"a:b": "` + value + `"}}`)
			checkInvalid(t, parseError(t, Parse, document), "Policy: Statement[0].Condition."+operator+".a:b", `"`+value+`" must be`)
		}
	}
}

func TestPrincipals(t *testing.T) {
	good := []string{
		"*", owner, "arn:aws:iam::111122223333:root", "arn:aws-cn:iam::111122223333:root",
		"arn:aws:iam::111122223333:user/anna", "arn:aws:iam::111122223333:role/aws-service-role/x/y",
		"arn:aws:sts::111122223333:assumed-role/r/s", "arn:aws:sts::111122223333:federated-user/f",
	}
	for _, p := range good {
		mustParse(t, statementWith(`"Principal": {"AWS": "`+p+`"}`, anyAction, everything))
	}
	bad := []string{
		"", "11112222333", "1111222233334", "anna", "arn:aws:iam::111122223333", "arn:aws:iam::1:root", "arn:gcp:iam::111122223333:root",
		"arn:aws:iam:us-west-2:111122223333:root", "arn:aws:iam::111122223333:user/", "arn:aws:iam::111122223333:user/*",
		"arn:aws:iam::111122223333:group/g", "arn:aws:iam::*:root", "arn:aws:sts::111122223333:root", "arn:aws:sts::111122223333:assumed-role/r",
		"arn:aws:sts::111122223333:assumed-role/p/r/s", "arn:aws:s3:::bucket", "AIDAEXAMPLE", "mediaconvert.amazonaws.com",
	}
	for _, p := range bad {
		document := statementWith(`"NotPrincipal": {"AWS": "`+p+`"}`, anyAction, everything)
		checkInvalid(t, parseError(t, Parse, document), "Policy: Statement.NotPrincipal.AWS", `"`+p+`" must be *, an account number`)
	}
}

func TestSids(t *testing.T) {
	for _, sid := range []string{"", "1", "PublicReadOverHttps", "allow read-only_2.0"} {
		mustParse(t, `{"Id": "any id", "Statement": [{`+rest+`, "Sid": "`+sid+`"}, {`+rest+`, "Sid": "x"}, {`+rest+`, "Sid": ""}]}`)
	}
}

func TestIdentityErrors(t *testing.T) {
	tests := []struct{ document, field, message string }{
		{`{"Id": "a", "Statement": []}`, "PolicyDocument: Id", "is not an element"},
		{broken(rest), "PolicyDocument: Statement[0].Principal", "is not an element"},
		{broken(allows + `, ` + anyAction + `, ` + everything + `, "Sid": "a b"`), "PolicyDocument: Statement[0].Sid", "letters and digits"},
	}
	for _, test := range tests {
		checkInvalid(t, parseError(t, ParseIdentity, test.document), test.field, test.message)
	}
}

// TestErrorsAreShort: what a document spells out at length must not push the
// rule out of the 255 characters that a client gets to see.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("x", 8000)
	for _, document := range []string{
		withCondition(`{"` + long + `": {}}`),
		withCondition(`{"Bool": {"` + long + `": 1}}`),
		withCondition(`{"Bool": {"aws:SecureTransport": "` + long + `"}}`),
		statementWith(anybody, `"Action": "`+long+`"`, everything),
	} {
		err := parseError(t, Parse, document)
		if n := len(err.Public()); n > 255 {
			t.Errorf("%d characters: %s", n, err.Public())
		}
	}
}

func parseError(t *testing.T, parse func([]byte) (*Document, error), document string) *mediastore.Error {
	t.Helper()
	d, err := parse([]byte(document))
	var e *mediastore.Error
	if d != nil || !errors.As(err, &e) {
		t.Fatalf("Parse = %v, %v: want a mediastore.Error\n%s", d, err, document)
	}
	return e
}

func checkInvalid(t *testing.T, err *mediastore.Error, field, message string) {
	t.Helper()
	if err.Kind != mediastore.KindInvalid || err.Field != field || !strings.Contains(err.Message, message) {
		t.Errorf("got %v\nwant %s: … %s …", err, field, message)
	}
}

// FuzzParse: no document makes Parse or Evaluate panic, a refused one is refused
// with a place, and one that is accepted decides the same after other JSON
// software rewrote it.
func FuzzParse(f *testing.F) {
	for _, document := range []string{
		defaultPolicy, publicReadOverHTTPS, publicRead, crossAccountRead, crossAccountUser, crossAccountRole,
		addressRange, agentAndReferer, denyPlainHTTP,
		withCondition(`{"ForAllValues:StringLikeIfExists": {"aws:TagKeys": ["a*", 1, true]}, "Null": {"test:Key": false}}`),
		withCondition(`{"DateLessThan": {"aws:CurrentTime": "2026"}, "NumericGreaterThan": {"aws:EpochTime": 1e9}}`),
		withCondition(`{"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount, 'x'}:*"}, "BinaryEquals": {"test:Key": "YQ=="}}`),
		statementWith(`"NotPrincipal": {"AWS": "111122223333", "Service": "a.b"}`, `"NotAction": "s3:*"`, `"NotResource": "arn:aws:s3:::${*}${aws:username}?"`),
	} {
		f.Add([]byte(document))
	}
	requests := []*Request{
		{},
		request(),
		request(plainHTTP, by(Root(owner)), action("PutObject")),
		request(by(User(other, "live/anna", "AIDA1")), resource("*")),
		request(by(AssumedRole(other, "live/publisher", "AROA1", "s")), from("2001:db8:12::1"), referer("s3cret")),
		request(with("aws:TagKeys", "a", "b"), with("test:Key", "a"), resource(container+"/${aws:username}")),
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			var e *mediastore.Error
			if !errors.As(err, &e) || e.Kind != mediastore.KindInvalid || !strings.HasPrefix(e.Field, "Policy") || e.Message == "" {
				t.Fatalf("Parse: %#v", err)
			}
			return
		}
		again := mustParse(t, rewrite(t, data))
		for _, r := range requests {
			if diff := cmp.Diff(d.Evaluate(r), again.Evaluate(r)); diff != "" {
				t.Errorf("after rewriting (-before +after):\n%s", diff)
			}
		}
	})
}

// rewrite decodes and encodes JSON: names get sorted, escapes and space change.
func rewrite(t *testing.T, data []byte) string {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
