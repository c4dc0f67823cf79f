package wiremodel

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/mediastore"
)

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := decodeObject([]byte(text))
	if err != nil {
		t.Fatalf("%.200s: %v", text, err)
	}
	return v
}

// a returns n letters, and list a JSON list of n times the same value.
func a(n int) string { return strings.Repeat("a", n) }

func list(n int, value string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(value+",", n), ",") + "]"
}

// message returns what a client reads of a refusal.
func message(t *testing.T, err error) string {
	t.Helper()
	var wrong *TypeError
	var e *mediastore.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &wrong):
		return wrong.Error()
	case errors.As(err, &e) && e.Kind == mediastore.KindInvalid:
		return e.Public()
	}
	t.Fatalf("neither a TypeError nor of KindInvalid: %v", err)
	return ""
}

// one is the message for a single violation.
func one(value, place, rule string) string {
	return "1 validation error detected: Value " + value + " at '" + place + "' failed to satisfy constraint: Member must " + rule
}

const (
	arn        = "arn:aws:mediastore:eu-west-1:123456789012:container/"
	arnPattern = `arn:aws:mediastore:[a-z]+-[a-z]+-\d:\d{12}:container/[\w-]{1,255}`
	latin1     = `satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+`
	tagPattern = `satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*`
)

func atMost(n int) string  { return fmt.Sprintf("have length less than or equal to %d", n) }
func atLeast(n int) string { return fmt.Sprintf("have length greater than or equal to %d", n) }

// inputTest holds one input against an operation. No want means accepted.
type inputTest struct{ operation, input, want string }

// with returns the input of an operation on the container "live".
func with(member string) string { return `{"ContainerName":"live",` + member + `}` }

func rule(members string) string {
	return with(`"CorsPolicy":[{"AllowedOrigins":["*"],"AllowedHeaders":[],` + members + `}]`)
}

func metric(members string) string {
	return with(`"MetricPolicy":{"ContainerLevelMetrics":"ENABLED",` + members + `}`)
}

func group(group, name string) string {
	return metric(`"MetricPolicyRules":[{"ObjectGroup":"` + group + `","ObjectGroupName":"` + name + `"}]`)
}

func tag(key, value string) string {
	return `{"Resource":"` + arn + `live","Tags":[{"Key":"` + key + `","Value":"` + value + `"}]}`
}

func cutTo50(c string) string { return "'" + strings.Repeat(c, 47) + "...'" }

func containerInputs() []inputTest {
	const create = "CreateContainer"
	return []inputTest{
		{create, `{"ContainerName":"a"}`, ""},
		{create, `{"ContainerName":"` + a(255) + `"}`, ""},
		{create, `{"ContainerName":"` + a(256) + `"}`, one(cutTo50("a"), "containerName", atMost(255))},
		{create, `{"ContainerName":"` + strings.Repeat("\u00e9", 255) + `"}`, one(cutTo50("\u00e9"), "containerName", `satisfy regular expression pattern: [\w-]+`)},
		{create, `{"ContainerName":"a b"}`, one("'a b'", "containerName", `satisfy regular expression pattern: [\w-]+`)},
		{create, `{"ContainerName":"a\u0000\nb"}`, one("'a??b'", "containerName", `satisfy regular expression pattern: [\w-]+`)},
		{create, `{}`, one("null", "containerName", "not be null")},
		{create, `{"ContainerName":null}`, one("null", "containerName", "not be null")},
		{create, `{"ContainerName":"a","Tags":null}`, ""},
		{create, `{"ContainerName":"a","Colour":{"deep":[1]}}`, ""},
		{create, `{"ContainerName":1}`, "Value at 'containerName' must be a string and is the number 1"},
		{"DescribeContainer", `{}`, ""},
		{"ListContainers", `{}`, ""},
		{"ListContainers", `{"MaxResults":1}`, ""},
		{"ListContainers", `{"MaxResults":100}`, ""},
		{"ListContainers", `{"MaxResults":0}`, one("'0'", "maxResults", "have value greater than or equal to 1")},
		{"ListContainers", `{"MaxResults":101}`, one("'101'", "maxResults", "have value less than or equal to 100")},
		{"ListContainers", `{"MaxResults":9223372036854775808}`, "Value at 'maxResults' must be an integer and is the number 9223372036854775808"},
		{"ListContainers", `{"MaxResults":1.0}`, "Value at 'maxResults' must be an integer and is the number 1.0"},
		{"ListContainers", `{"MaxResults":"5"}`, "Value at 'maxResults' must be an integer and is a string"},
		{"ListContainers", `{"NextToken":"` + a(1024) + `"}`, ""},
		{"ListContainers", `{"NextToken":"` + a(1025) + `"}`, one(cutTo50("a"), "nextToken", atMost(1024))},
		{"ListContainers", `{"NextToken":"a-b"}`, one("'a-b'", "nextToken", `satisfy regular expression pattern: [0-9A-Za-z=/+]+`)},
	}
}

func documentInputs() []inputTest {
	const policy, lifecycle = "PutContainerPolicy", "PutLifecyclePolicy"
	return []inputTest{
		{policy, with(`"Policy":"{"`), ""},
		{policy, with(`"Policy":"` + a(8192) + `"`), ""},
		{policy, with(`"Policy":"` + a(8193) + `"`), one(cutTo50("a"), "policy", atMost(8192))},
		{policy, with(`"Policy":"\u007f"`), ""},
		{policy, with(`"Policy":"\u0080"`), one("'?'", "policy", `satisfy regular expression pattern: [\x00-\x7F]+`)},
		{policy, `{"ContainerName":"live"}`, one("null", "policy", "not be null")},
		{policy, with(`"Policy":{}`), "Value at 'policy' must be a string and is an object"},
		{lifecycle, with(`"LifecyclePolicy":"` + strings.Repeat("\u00ff", 8192) + `"`), ""}, // counted in characters
		{lifecycle, with(`"LifecyclePolicy":"` + a(8193) + `"`), one(cutTo50("a"), "lifecyclePolicy", atMost(8192))},
		{lifecycle, with(`"LifecyclePolicy":""`), one("''", "lifecyclePolicy", latin1)},
		{lifecycle, with(`"LifecyclePolicy":"\u0100"`), one("'\u0100'", "lifecyclePolicy", latin1)},
	}
}

func corsInputs() []inputTest {
	const cors = "PutCorsPolicy"
	minimal := `{"AllowedOrigins":["*"],"AllowedHeaders":[]}`
	origins := func(list string) string {
		return with(`"CorsPolicy":[` + minimal + `,{"AllowedHeaders":["*"],"AllowedOrigins":` + list + `}]`)
	}
	return []inputTest{
		{cors, with(`"CorsPolicy":` + list(1, minimal)), ""},
		{cors, with(`"CorsPolicy":` + list(100, minimal)), ""},
		{cors, with(`"CorsPolicy":` + list(101, minimal)), one("'[101 members]'", "corsPolicy", atMost(100))},
		{cors, with(`"CorsPolicy":[]`), one("'[0 members]'", "corsPolicy", atLeast(1))},
		{cors, with(`"CorsPolicy":[null]`), one("null", "corsPolicy.1.member", "not be null")},
		{cors, with(`"CorsPolicy":"[]"`), "Value at 'corsPolicy' must be a list and is a string"},
		{cors, with(`"CorsPolicy":[true]`), "Value at 'corsPolicy.1.member' must be an object and is a boolean"},
		{cors, with(`"CorsPolicy":[{"AllowedHeaders":[]}]`), one("null", "corsPolicy.1.member.allowedOrigins", "not be null")},
		{cors, with(`"CorsPolicy":[{"AllowedOrigins":["*"]}]`), one("null", "corsPolicy.1.member.allowedHeaders", "not be null")},
		{cors, origins(list(100, `"*"`)), ""},
		{cors, origins(list(101, `"*"`)), one("'[101 members]'", "corsPolicy.2.member.allowedOrigins", atMost(100))},
		{cors, origins(`[]`), one("'[0 members]'", "corsPolicy.2.member.allowedOrigins", atLeast(1))},
		{cors, origins(`["` + a(2048) + `"]`), ""},
		{cors, origins(`["*","` + a(2049) + `"]`), one(cutTo50("a"), "corsPolicy.2.member.allowedOrigins.2.member", atMost(2048))},
		{cors, origins(`["\u0100"]`), one("'\u0100'", "corsPolicy.2.member.allowedOrigins.1.member", latin1)},
		{cors, origins(`[[]]`), "Value at 'corsPolicy.2.member.allowedOrigins.1.member' must be a string and is a list"},
		{cors, rule(`"AllowedMethods":["PUT","GET","DELETE","HEAD"]`), ""},
		{cors, rule(`"AllowedMethods":[]`), one("'[0 members]'", "corsPolicy.1.member.allowedMethods", atLeast(1))},
		{cors, rule(`"AllowedMethods":` + list(5, `"GET"`)), one("'[5 members]'", "corsPolicy.1.member.allowedMethods", atMost(4))},
		{cors, rule(`"AllowedMethods":["get"]`), one("'get'", "corsPolicy.1.member.allowedMethods.1.member", "satisfy enum value set: [PUT, GET, DELETE, HEAD]")},
		{cors, rule(`"ExposeHeaders":` + list(100, `"ETag"`)), ""},
		{cors, rule(`"ExposeHeaders":` + list(101, `"ETag"`)), one("'[101 members]'", "corsPolicy.1.member.exposeHeaders", atMost(100))},
		{cors, rule(`"ExposeHeaders":["` + a(8192) + `"]`), ""},
		{cors, rule(`"ExposeHeaders":["` + a(8193) + `"]`), one(cutTo50("a"), "corsPolicy.1.member.exposeHeaders.1.member", atMost(8192))},
		{cors, rule(`"MaxAgeSeconds":0`), ""},
		{cors, rule(`"MaxAgeSeconds":2147483647`), ""},
		{cors, rule(`"MaxAgeSeconds":-1`), one("'-1'", "corsPolicy.1.member.maxAgeSeconds", "have value greater than or equal to 0")},
		{cors, rule(`"MaxAgeSeconds":2147483648`), one("'2147483648'", "corsPolicy.1.member.maxAgeSeconds", "have value less than or equal to 2147483647")},
	}
}

func metricInputs() []inputTest {
	const put = "PutMetricPolicy"
	const groupPlace = "metricPolicy.metricPolicyRules.1.member.objectGroup"
	anyRule := `{"ObjectGroup":"a","ObjectGroupName":"a"}`
	return []inputTest{
		{put, with(`"MetricPolicy":{"ContainerLevelMetrics":"DISABLED"}`), ""},
		{put, with(`"MetricPolicy":{}`), one("null", "metricPolicy.containerLevelMetrics", "not be null")},
		{put, with(`"MetricPolicy":{"ContainerLevelMetrics":"ON"}`), one("'ON'", "metricPolicy.containerLevelMetrics", "satisfy enum value set: [ENABLED, DISABLED]")},
		{put, with(`"MetricPolicy":[]`), "Value at 'metricPolicy' must be an object and is a list"},
		{put, metric(`"MetricPolicyRules":` + list(300, anyRule)), ""},
		{put, metric(`"MetricPolicyRules":` + list(301, anyRule)), one("'[301 members]'", "metricPolicy.metricPolicyRules", atMost(300))},
		{put, metric(`"MetricPolicyRules":[]`), one("'[0 members]'", "metricPolicy.metricPolicyRules", atLeast(1))},
		{put, metric(`"MetricPolicyRules":[{"ObjectGroup":"a"}]`), one("null", groupPlace+"Name", "not be null")},
		{put, group("a", a(30)), ""},
		{put, group("a", a(31)), one("'"+a(31)+"'", groupPlace+"Name", atMost(30))},
		{put, group("a", "a-b"), one("'a-b'", groupPlace+"Name", "satisfy regular expression pattern: [a-zA-Z0-9_]+")},
		{put, group("/sports/*.ts", "a"), ""},
		{put, group(a(900), "a"), ""},
		{put, group(a(901), "a"), one(cutTo50("a"), groupPlace, atMost(900))},
		{put, group(strings.Repeat("a/", 11)+"/", "a"), one("'a/a/a/a/a/a/a...'", groupPlace, `satisfy regular expression pattern: /?(?:[A-Za-z0-9_=:\.\-\~\*]+/){0,10}(?:[A-Za-z0-9_=:\.\-\~\*]+)?/?`)},
	}
}

func tagInputs() []inputTest {
	const put, remove = "TagResource", "UntagResource"
	anyTag := `{"Key":"a"}`
	tags := func(list string) string { return `{"Resource":"` + arn + `live","Tags":` + list + `}` }
	return []inputTest{
		{put, tags(list(200, anyTag)), ""},
		{put, tags(list(201, anyTag)), one("'[201 members]'", "tags", atMost(200))},
		{put, tags(`[]`), one("'[0 members]'", "tags", atLeast(1))},
		{put, tags(`[{"Value":"a"}]`), one("null", "tags.1.member.key", "not be null")},
		{put, tags(`[{"Key":"a","Value":null}]`), ""},
		{put, tag(a(128), a(256)), ""},
		{put, tag(a(129), ""), one(cutTo50("a"), "tags.1.member.key", atMost(128))},
		{put, tag("", ""), one("''", "tags.1.member.key", atLeast(1))},
		{put, tag("a", a(257)), one(cutTo50("a"), "tags.1.member.value", atMost(256))},
		{put, tag("Stra\u00dfe \u4e16 1_.:/=+-@", ""), ""},
		{put, tag("a&b", ""), one("'a&b'", "tags.1.member.key", tagPattern)},
		{put, tag("a", "<"), one("'<'", "tags.1.member.value", tagPattern)},
		{remove, `{"Resource":"` + arn + `live","TagKeys":[]}`, ""},
		{remove, `{"Resource":"` + arn + `live","TagKeys":["a","&"]}`, one("'&'", "tagKeys.2.member", tagPattern)},
		{remove, `{"Resource":"` + arn + `live","TagKeys":[null]}`, one("null", "tagKeys.1.member", "not be null")},
		{remove, `{"TagKeys":[]}`, one("null", "resource", "not be null")},
		{"ListTagsForResource", `{"Resource":"` + arn + a(255) + `"}`, ""},
		{"ListTagsForResource", `{"Resource":"arn:aws:s3:::live"}`, one("'arn:aws:s3:::live'", "resource", "satisfy regular expression pattern: "+arnPattern)},
		{"ListTagsForResource", `{"Resource":"` + arn + a(1024) + `"}`, one("'arn:aws:mediastore:eu-west-1:123456789012:conta...'", "resource", atMost(1024))},
	}
}

func TestValidateInput(t *testing.T) {
	m := ControlPlane()
	groups := map[string][]inputTest{"container": containerInputs(), "document": documentInputs(), "cors": corsInputs(), "metric": metricInputs(), "tag": tagInputs()}
	for name, tests := range groups {
		for i, test := range tests {
			got := message(t, m.Operation(test.operation).ValidateInput(object(t, test.input)))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s %d: %s of %.120s (-want +got):\n%s", name, i, test.operation, test.input, diff)
			}
			if n := utf8.RuneCountInString(got); n > maxMessage {
				t.Errorf("%s %d: the message of one violation has %d characters", name, i, n)
			}
		}
	}
}

// The longest place with the longest rule still tells the rule in full.
func TestTheRuleIsNeverCut(t *testing.T) {
	in := object(t, metric(`"MetricPolicyRules":[`+strings.Repeat(`{"ObjectGroup":"a","ObjectGroupName":"a"},`, 299)+`{"ObjectGroup":"`+strings.Repeat("!", 900)+`","ObjectGroupName":"a"}]`))
	got := message(t, ControlPlane().Operation("PutMetricPolicy").ValidateInput(in))
	if n := utf8.RuneCountInString(got); n > maxMessage || !strings.HasSuffix(got, `+)?/?`) {
		t.Errorf("%d characters: %s", n, got)
	}
}

func TestEveryViolationIsInOneMessage(t *testing.T) {
	got := message(t, ControlPlane().Operation("PutContainerPolicy").ValidateInput(object(t, `{"ContainerName":"x!"}`)))
	want := `2 validation errors detected: Value 'x!' at 'containerName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w-]+; ` +
		`Value null at 'policy' failed to satisfy constraint: Member must not be null`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestManyViolationsAreCounted(t *testing.T) {
	in := object(t, with(`"CorsPolicy":`+list(1000, `{}`)))
	got := message(t, ControlPlane().Operation("PutCorsPolicy").ValidateInput(in))
	if !strings.HasPrefix(got, "2001 validation errors detected: ") {
		t.Errorf("got %.60s", got)
	}
	if n := strings.Count(got, "failed to satisfy"); n != maxReported {
		t.Errorf("%d are described, want %d", n, maxReported)
	}
}

// A value of the wrong type is told of before any constraint, wherever it is.
func TestTypesComeFirst(t *testing.T) {
	err := ControlPlane().Operation("PutCorsPolicy").ValidateInput(object(t, `{"CorsPolicy":[{},{"MaxAgeSeconds":{}}]}`))
	var got *TypeError
	if !errors.As(err, &got) {
		t.Fatalf("ValidateInput = %v, want a TypeError", err)
	}
	want := &TypeError{Place: "corsPolicy.2.member.maxAgeSeconds", Want: "an integer", Got: "an object"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The data plane's members are named alike wherever they travel, and its payload
// is not among them.
func TestValidateInputOfTheDataPlane(t *testing.T) {
	m := DataPlane()
	tests := []inputTest{
		{"PutObject", `{"Path":"a/b.ts"}`, ""},
		{"PutObject", `{"Path":"a","ContentType":"video/mp2t; charset=utf-8"}`, ""},
		{"PutObject", `{"Path":"a","StorageClass":"COLD"}`, one("'COLD'", "storageClass", "satisfy enum value set: [TEMPORAL]")},
		{"PutObject", `{}`, one("null", "path", "not be null")},
		{"ListItems", `{"MaxResults":1000,"NextToken":""}`, ""},
		{"ListItems", `{"MaxResults":1001}`, one("'1001'", "maxResults", "have value less than or equal to 1000")},
		{"GetObject", `{"Path":"a","Range":"bytes=0-"}`, ""},
		{"GetObject", `{"Path":"a","Range":"bytes=-"}`, one("'bytes=-'", "range", `satisfy regular expression pattern: ^bytes=(?:\d+\-\d*|\d*\-\d+)$`)},
	}
	for _, test := range tests {
		got := message(t, m.Operation(test.operation).ValidateInput(object(t, test.input)))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", test.operation, test.input, diff)
		}
	}
}

// maxTotal bounds a whole message: maxReported violations, none of which is
// longer than a message may be, and what separates them.
const maxTotal = maxReported * (maxMessage + len("; "))

func FuzzValidateInput(f *testing.F) {
	for _, tests := range [][]inputTest{containerInputs(), documentInputs(), corsInputs(), metricInputs(), tagInputs()} {
		for _, test := range tests {
			if len(test.input) < 1000 {
				f.Add([]byte(test.input))
			}
		}
	}
	f.Add([]byte(`{"CorsPolicy":[{"AllowedOrigins":[{"a":[[[[]]]]}]}],"Tags":{"Key":1e999}}`))
	operations := ControlPlane().Operations()
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := decodeObject(body)
		if err != nil {
			return
		}
		before, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range operations {
			text := message(t, o.ValidateInput(in)) // fails for any other kind of error
			if n := utf8.RuneCountInString(text); n > maxTotal {
				t.Errorf("%s: the message has %d characters", o.Name, n)
			}
			if again := message(t, o.ValidateInput(in)); again != text {
				t.Errorf("%s: first %q, then %q", o.Name, text, again)
			}
		}
		if after, _ := json.Marshal(in); string(after) != string(before) {
			t.Errorf("the input was changed from %s to %s", before, after)
		}
	})
}
