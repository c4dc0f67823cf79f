package wiremodel

import (
	"net/http"
	"strings"
	"testing"
)

const (
	hex64  = "0123456789abcdefABCDEF0123456789abcdefABCDEF01234567890123456789"
	date   = "Wed, 21 Oct 2026 07:28:00 GMT"
	length = "Content-Length" // a header
)

// headers makes a header from names and values in turn.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// operation finds an operation on either plane.
func operation(name string) *Operation {
	if o := ControlPlane().Operation(name); o != nil {
		return o
	}
	return DataPlane().Operation(name)
}

// verify compares an error with a part of what it should say; no want means
// that there must be none.
func verify(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, want an error with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("error %q, want one with %q", err, want)
	}
}

func TestCheckOutputOfTheControlPlane(t *testing.T) {
	container := func(members string) string { return `{"Container":{"Name":"live",` + members + `}}` }
	tests := []struct{ name, operation, body, want string }{
		{"whole container", "CreateContainer", container(`"ARN":"` + arn + `live","Status":"CREATING","CreationTime":1761031680.123,"AccessLoggingEnabled":false`), ""},
		{"void", "TagResource", `{}`, ""},
		{"void without a body", "TagResource", ``, "not a JSON object"},
		{"null", "TagResource", `null`, "null"},
		{"two objects", "TagResource", `{}{}`, "more after"},
		{"void with a member", "TagResource", `{"A":1}`, `no member "A"`},
		{"required absent", "CreateContainer", `{}`, "'container' failed to satisfy constraint: Member must not be null"},
		{"undeclared", "CreateContainer", container(`"Colour":"red"`), "Value 'red' at 'container.colour' failed to satisfy constraint: Member must be declared"},
		{"case of a member", "CreateContainer", `{"container":{}}`, `no member "container"`},
		{"null member", "CreateContainer", container(`"Endpoint":null`), "'container.endpoint' must be a string and is null"},
		{"enum", "CreateContainer", container(`"Status":"DONE"`), "enum value set: [ACTIVE, CREATING, DELETING]"},
		{"pattern", "CreateContainer", container(`"ARN":"live"`), "'container.aRN' failed to satisfy constraint: Member must satisfy regular expression pattern"},
		{"timestamp in words", "CreateContainer", container(`"CreationTime":"` + date + `"`), "must be a number of seconds and is a string"},
		{"timestamp out of range", "CreateContainer", container(`"CreationTime":1e999`), "must be a number of seconds"},
		{"boolean", "CreateContainer", container(`"AccessLoggingEnabled":"false"`), "must be a boolean"},
		{"no tags", "ListTagsForResource", `{}`, ""},
		{"empty tags", "ListTagsForResource", `{"Tags":[]}`, "length greater than or equal to 1"},
		{"no containers", "ListContainers", `{"Containers":[]}`, ""},
		{"too deep to be declared", "GetMetricPolicy", `{"MetricPolicy":{"ContainerLevelMetrics":"ENABLED","MetricPolicyRules":[{"ObjectGroup":"a","ObjectGroupName":"a","X":[1,2]}]}}`, "Value '[2 members]' at 'metricPolicy.metricPolicyRules.1.member.x'"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			verify(t, operation(test.operation).CheckOutput(200, http.Header{}, []byte(test.body)), test.want)
		})
	}
}

func TestCheckOutputOfHeaders(t *testing.T) {
	whole := headers("ETag", "0aF", "Last-Modified", date, length, "0", "Content-Type", "video/mp2t", "Cache-Control", "max-age=6", "Date", date)
	tests := []struct {
		name      string
		operation string
		status    int
		header    http.Header
		body      string
		want      string
	}{
		{"whole object", "GetObject", 200, whole, "\x00\xff", ""},
		{"no header", "GetObject", 206, nil, "", ""},
		{"described", "DescribeObject", 200, whole, "", ""},
		{"HEAD with a body", "DescribeObject", 200, whole, "{}", "HEAD has a body"},
		{"not a success", "GetObject", 304, whole, "", "does not report success"},
		{"negative length", "DescribeObject", 200, headers(length, "-1"), "", "value greater than or equal to 0"},
		{"length in words", "DescribeObject", 200, headers(length, "many"), "", "must be an integer"},
		{"empty length", "DescribeObject", 200, headers(length, ""), "", "must be an integer"},
		{"two lengths", "DescribeObject", 200, headers(length, "1", length, "1"), "", "there 2 times"},
		{"date of epoch seconds", "DescribeObject", 200, headers("Last-Modified", "1761031680"), "", "not an HTTP date"},
		{"date in another form", "DescribeObject", 200, headers("Last-Modified", "Wednesday, 21-Oct-26 07:28:00 GMT"), "", "not an HTTP date"},
		{"date on another day", "DescribeObject", 200, headers("Last-Modified", "Mon, 21 Oct 2026 07:28:00 GMT"), "", "not an HTTP date"},
		{"quoted ETag", "DescribeObject", 200, headers("ETag", `"0af"`), "", "[0-9A-Fa-f]+"},
		{"long ETag", "DescribeObject", 200, headers("ETag", hex64+"0"), "", "length less than or equal to 64"},
		{"spelling of the wire", "DescribeObject", 200, http.Header{"etag": {"x"}}, "", "[0-9A-Fa-f]+"},
		{"range", "GetObject", 206, headers("Content-Range", "bytes 0-9/100"), "", ""},
		{"range of an upload under way", "GetObject", 206, headers("Content-Range", "bytes 0-9/*"), "", ""},
		{"range as it is requested", "GetObject", 206, headers("Content-Range", "bytes=0-9/100"), "", "regular expression"},
		{"range in words", "GetObject", 206, headers("Content-Range", "the first ten"), "", "regular expression"},
		{"parameters", "GetObject", 200, headers("Content-Type", `multipart/mixed;boundary="a;\"b" ; charset=utf-8;`), "", ""},
		{"no parameter", "GetObject", 200, headers("Content-Type", "text/plain; charset"), "", "regular expression"},
		{"no type", "GetObject", 200, headers("Content-Type", "; charset=utf-8"), "", "regular expression"},
		{"long type", "GetObject", 200, headers("Content-Type", a(256)), "", "regular expression"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			verify(t, operation(test.operation).CheckOutput(test.status, test.header, []byte(test.body)), test.want)
		})
	}
}

func TestCheckOutputOfBodies(t *testing.T) {
	tests := []struct{ name, operation, body, want string }{
		{"put", "PutObject", `{"ContentSHA256":"` + hex64 + `","ETag":"0a","StorageClass":"TEMPORAL"}`, ""},
		{"put with a short hash", "PutObject", `{"ContentSHA256":"0a"}`, "length greater than or equal to 64"},
		{"put without a body", "PutObject", "", "not a JSON object"},
		{"delete", "DeleteObject", "", ""},
		{"delete with an object", "DeleteObject", "{}", ""},
		{"delete with a text", "DeleteObject", "deleted", "not a JSON object"},
		{"list", "ListItems", `{"Items":[{"Name":"a=1:b.ts","Type":"OBJECT","ETag":"0a","LastModified":1.5,"ContentType":"a/b","ContentLength":3},{"Name":"sub","Type":"FOLDER"}],"NextToken":"x"}`, ""},
		{"a class of our own", "ListItems", `{"Items":[{"Name":"a.ts","StorageClass":"INFREQUENT_ACCESS"}]}`, ""},
		{"another class", "ListItems", `{"Items":[{"Name":"a.ts","StorageClass":"TEMPORAL"}]}`, "'items.1.member.storageClass'"},
		{"name with a slash", "ListItems", `{"Items":[{"Name":"a/b"}]}`, "'items.1.member.name'"},
		{"length is a string", "ListItems", `{"Items":[{"ContentLength":"3"}]}`, "must be an integer and is a string"},
		{"null item", "ListItems", `{"Items":[null]}`, "Member must not be null"},
		{"list of nothing", "ListItems", "", "not a JSON object"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			verify(t, operation(test.operation).CheckOutput(200, http.Header{}, []byte(test.body)), test.want)
		})
	}
}

// A member has one place: the body cannot hold what a header should.
func TestCheckOutputOfAMisplacedMember(t *testing.T) {
	m, err := parse(`{"metadata":{"protocol":"rest-json"},"operations":{"X":{"input":{"shape":"Out"},"output":{"shape":"Out"}}},"shapes":{"ErrorMessage":{"type":"string"},
		"Out":{"type":"structure","members":{"A":{"shape":"S","location":"header","locationName":"a"},"B":{"shape":"S"}}},"S":{"type":"string"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, m.Operation("X").CheckOutput(200, headers("a", "1"), []byte(`{"B":"1"}`)), "")
	verify(t, m.Operation("X").CheckOutput(200, nil, []byte(`{"A":"1"}`)), `no member "A" in the body`)
}

func TestCheckError(t *testing.T) {
	const notFound = "ContainerNotFoundException"
	common := map[string]bool{"ValidationException": true, "SlowDown": false}
	body := func(code, message string) string { return `{"__type":"` + code + `","Message":"` + message + `"}` }
	tests := []struct {
		name      string
		operation string
		status    int
		code      string // of the header
		body      string
		want      string
	}{
		{"declared", "DescribeContainer", 400, notFound, body(notFound, "No 'live', sorry"), ""},
		{"declared fault", "DescribeContainer", 500, "InternalServerError", body("InternalServerError", "x"), ""},
		{"declared with another status", "DescribeContainer", 404, notFound, body(notFound, "x"), "has the status 400"},
		{"the other plane's status", "GetObject", 404, notFound, body(notFound, "x"), ""},
		{"range", "GetObject", 416, "RequestedRangeNotSatisfiableException", body("RequestedRangeNotSatisfiableException", "x"), ""},
		{"common", "DescribeContainer", 400, "ValidationException", body("ValidationException", "x"), ""},
		{"common with a success", "DescribeContainer", 200, "ValidationException", body("ValidationException", "x"), "does not report an error"},
		{"not common", "DescribeContainer", 400, "SlowDown", body("SlowDown", "x"), "neither declared nor common"},
		{"declared elsewhere", "DescribeContainer", 400, "PolicyNotFoundException", body("PolicyNotFoundException", "x"), "neither declared nor common"},
		{"no header", "DescribeContainer", 400, "", body(notFound, "x"), "x-amzn-ErrorType is missing"},
		{"disagreement", "DescribeContainer", 400, notFound, body("ValidationException", "x"), "__type is ValidationException"},
		{"code", "GetObject", 404, notFound, `{"code":"` + notFound + `","Message":"x"}`, ""},
		{"disagreeing code", "GetObject", 404, notFound, `{"__type":"` + notFound + `","code":[],"Message":"x"}`, "code is []"},
		{"no code in the body", "GetObject", 404, notFound, `{"Message":"x"}`, "has no __type"},
		{"no body", "GetObject", 404, notFound, "", "not a JSON object"},
		{"HEAD", "DescribeObject", 404, notFound, "", ""},
		{"HEAD with a body", "DescribeObject", 404, notFound, body(notFound, "x"), "HEAD has a body"},
		{"no message", "GetObject", 404, notFound, `{"__type":"` + notFound + `"}`, "'message' failed to satisfy constraint: Member must not be null"},
		{"empty message", "GetObject", 404, notFound, body(notFound, ""), "length greater than or equal to 1"},
		{"longest message", "GetObject", 404, notFound, body(notFound, strings.Repeat("\u00e9", 255)), ""},
		{"long message", "GetObject", 404, notFound, body(notFound, a(256)), "length less than or equal to 255"},
		{"message is a number", "GetObject", 404, notFound, `{"__type":"` + notFound + `","Message":1}`, "must be a string"},
		{"undeclared member", "GetObject", 404, notFound, `{"__type":"` + notFound + `","Message":"x","RequestId":"1"}`, "'requestId' failed to satisfy constraint: Member must be declared"},
		{"lower case", "GetObject", 404, notFound, `{"__type":"` + notFound + `","message":"x"}`, "Member must be declared"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{}
			if test.code != "" {
				h["x-amzn-ErrorType"] = []string{test.code}
			}
			verify(t, operation(test.operation).CheckError(test.status, h, []byte(test.body), common), test.want)
		})
	}
}

// Responses come from a server under test, which may send anything.
func FuzzCheckResponse(f *testing.F) {
	f.Add(200, "", []byte(`{"Container":{"Name":"live","CreationTime":1.5}}`))
	f.Add(200, "", []byte(`{"Items":[{"Name":"a","Type":"FOLDER"},null]}`))
	f.Add(404, "ContainerNotFoundException", []byte(`{"__type":"ContainerNotFoundException","Message":"x"}`))
	f.Add(500, "InternalServerError", []byte(`{"code":{},"Message":[]}`))
	operations := append(ControlPlane().Operations(), DataPlane().Operations()...)
	f.Fuzz(func(t *testing.T, status int, value string, body []byte) {
		h := headers(errorHeader, value, length, value, "Last-Modified", value, "ETag", value)
		for _, o := range operations {
			output, failure := o.CheckOutput(status, h, body), o.CheckError(status, h, body, map[string]bool{value: true})
			if output == nil && failure == nil {
				t.Errorf("%s: a response is a success and an error", o.Name)
			}
		}
	})
}
