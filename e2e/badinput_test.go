package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// badRequest is a request that must be refused, and how.
type badRequest struct {
	name    string
	request string
	status  int
	code    string
	words   []string // that the message has: the field, and the rule
}

// refuse sends the requests, each on a connection of its own, and afterwards looks
// whether the server is well and nothing has changed.
func refuse(t *testing.T, s *server, endpoint string, rows []badRequest) {
	t.Helper()
	before := everything(t, s, endpoint)
	for _, row := range rows {
		a := roundTrip(t, s.URL, row.request)
		if err := a.refused(row.status, row.code, row.words...); err != nil {
			t.Errorf("%s: %v\n  request: %.300q\n  answer: %d %s", row.name, err, row.request, a.Status, a.Body)
		}
	}
	if after := everything(t, s, endpoint); after != before {
		t.Errorf("refused requests have changed something:\n%s\nwas:\n%s", after, before)
	}
	wantWell(t, s)
}

// wantWell fails when the server is not ready or has panicked.
func wantWell(t *testing.T, s *server) {
	t.Helper()
	if status, body := get(t, s.URL+"/-/ready"); status != http.StatusOK {
		t.Errorf("/-/ready: %d %s", status, body)
	}
	if strings.Contains(s.log.String(), "panic") {
		t.Error("the log has a panic")
	}
}

// everything is all that clients can see: containers, their documents and objects.
func everything(t *testing.T, s *server, endpoint string) string {
	t.Helper()
	_, all := control(t, s.URL, "ListContainers", `{}`)
	seen := string(all)
	for _, what := range []string{"GetContainerPolicy", "GetCorsPolicy", "GetLifecyclePolicy", "GetMetricPolicy"} {
		_, body := control(t, s.URL, what, `{"ContainerName":"live"}`)
		seen += "\n" + what + " " + string(body)
	}
	_, tags := control(t, s.URL, "ListTagsForResource", `{"Resource":"`+arn("live")+`"}`)
	seen += "\n" + string(tags)
	for _, path := range tree(t, endpoint, "") {
		a := rawCall(t, "GET", endpoint, path, "")
		seen += fmt.Sprintf("\n%s %d %s %q", path, a.Status, a.Header.Get("ETag"), a.Body)
	}
	return seen
}

func arn(name string) string {
	return fmt.Sprintf("arn:aws:mediastore:%s:%s:container/%s", region, account, name)
}

// forBadInput starts a server with a container and an object in it.
func forBadInput(t *testing.T, args ...string) (s *server, endpoint string) {
	t.Helper()
	s = start(t, args...)
	endpoint = container(t, s.URL, "live")
	putObject(t, endpoint, "there.ts", "0123456789")
	return s, endpoint
}

// operationRequest renders a call of the control plane.
func operationRequest(operation, input string, headers ...string) string {
	return rawRequest("POST", "/", input, append([]string{"X-Amz-Target: MediaStore_20170901." + operation, "Content-Type: application/x-amz-json-1.1"}, headers...)...)
}

// controlRow is a call of the control plane as the root user.
func controlRow(operation, input, code string, words ...string) badRequest {
	return badRequest{operation + " " + input[:min(80, len(input))], operationRequest(operation, input), http.StatusBadRequest, code, words}
}

const (
	invalid     = "ValidationException"
	serial      = "SerializationException"
	noContainer = "ContainerNotFoundException"
	noPolicy    = "PolicyNotFoundException"
	inUse       = "ContainerInUseException"
)

func TestBadControlRequests(t *testing.T) {
	s, endpoint := forBadInput(t)
	deep := strings.Repeat(`{"a":`, 100_000)
	rows := []badRequest{
		{"no credentials", operationRequest("ListContainers", "{}", anonymous), 403, "MissingAuthenticationTokenException", []string{"signed"}},
		{"no target", rawRequest("POST", "/", "{}"), 400, "UnknownOperationException", []string{"X-Amz-Target"}},
		{"empty target", rawRequest("POST", "/", "{}", "X-Amz-Target:"), 400, "UnknownOperationException", []string{"X-Amz-Target"}},
		{"target of another version", rawRequest("POST", "/", "{}", "X-Amz-Target: MediaStore_20160901.ListContainers"), 400, "UnknownOperationException", []string{"X-Amz-Target", "MediaStore_20160901"}},
		{"target without a service", rawRequest("POST", "/", "{}", "X-Amz-Target: ListContainers"), 400, "UnknownOperationException", []string{"X-Amz-Target"}},
		{"target with nothing after the dot", rawRequest("POST", "/", "{}", "X-Amz-Target: MediaStore_20170901."), 400, "UnknownOperationException", []string{"X-Amz-Target"}},
		{"target in the wrong case", rawRequest("POST", "/", "{}", "X-Amz-Target: mediastore_20170901.listcontainers"), 400, "UnknownOperationException", []string{"X-Amz-Target"}},
		{"long target", rawRequest("POST", "/", "{}", "X-Amz-Target: "+strings.Repeat("x", 20000)), 400, "UnknownOperationException", []string{"X-Amz-Target"}},
		controlRow("Nope", "{}", "UnknownOperationException", "X-Amz-Target", "Nope"),
		{"GET /", rawRequest("GET", "/", ""), 404, noContainer, []string{"path"}},
		{"PUT /", rawRequest("PUT", "/", "x"), 404, noContainer, []string{"path"}},

		controlRow("ListContainers", `{`, serial, "JSON"),
		controlRow("ListContainers", `[]`, serial, "JSON object"),
		controlRow("ListContainers", `null`, serial, "JSON object"),
		controlRow("ListContainers", `"x"`, serial, "JSON object"),
		controlRow("ListContainers", `{} {}`, serial, "JSON object"),
		controlRow("ListContainers", `{"MaxResults":}`, serial, "JSON"),
		controlRow("ListContainers", "\xff\xfe", serial, "JSON"),
		controlRow("ListContainers", "Action=ListUsers&Version=2010-05-08", serial, "JSON"),
		controlRow("ListContainers", deep, serial, "JSON"),
		controlRow("ListContainers", strings.Repeat("[", 1_000_000), serial, "JSON"),
		controlRow("ListContainers", `{"x":"`+strings.Repeat("x", 4<<20)+`"}`, invalid, "bytes", "3145728"),

		controlRow("ListContainers", `{"MaxResults":0}`, invalid, "maxResults", "greater than or equal to 1"),
		controlRow("ListContainers", `{"MaxResults":101}`, invalid, "maxResults", "less than or equal to 100"),
		controlRow("ListContainers", `{"MaxResults":-1}`, invalid, "maxResults", "greater than or equal to 1"),
		controlRow("ListContainers", `{"MaxResults":99999999999999999999}`, serial, "maxResults", "an integer"),
		controlRow("ListContainers", `{"MaxResults":1.5}`, serial, "maxResults", "an integer"),
		controlRow("ListContainers", `{"MaxResults":"1"}`, serial, "maxResults", "an integer", "a string"),
		controlRow("ListContainers", `{"MaxResults":true}`, serial, "maxResults", "an integer", "a boolean"),
		controlRow("ListContainers", `{"MaxResults":[1]}`, serial, "maxResults", "an integer", "a list"),
		controlRow("ListContainers", `{"NextToken":7}`, serial, "nextToken", "a string"),
		controlRow("ListContainers", `{"NextToken":"not/base-64!"}`, invalid, "nextToken"),
		controlRow("ListContainers", `{"NextToken":"YSBi"}`, invalid, "nextToken", "ListContainers"),
		controlRow("ListContainers", `{"NextToken":"`+strings.Repeat("x", 2000)+`"}`, invalid, "nextToken", "1024"),

		controlRow("CreateContainer", ``, invalid, "containerName", "must not be null"),
		controlRow("CreateContainer", `{}`, invalid, "containerName", "must not be null"),
		controlRow("CreateContainer", `{"ContainerName":null}`, invalid, "containerName", "must not be null"),
		controlRow("CreateContainer", `{"containername":"x"}`, invalid, "containerName", "must not be null"),
		controlRow("CreateContainer", `{"ContainerName":""}`, invalid, "containerName", "greater than or equal to 1"),
		controlRow("CreateContainer", `{"ContainerName":"`+strings.Repeat("a", 256)+`"}`, invalid, "containerName", "less than or equal to 255"),
		controlRow("CreateContainer", `{"ContainerName":"a b"}`, invalid, "containerName", "pattern"),
		controlRow("CreateContainer", `{"ContainerName":"a/b"}`, invalid, "containerName", "pattern"),
		controlRow("CreateContainer", `{"ContainerName":"a.b"}`, invalid, "containerName", "pattern"),
		controlRow("CreateContainer", `{"ContainerName":"ä"}`, invalid, "containerName", "pattern"),
		controlRow("CreateContainer", `{"ContainerName":"a\u0000"}`, invalid, "containerName", "pattern"),
		controlRow("CreateContainer", `{"ContainerName":"a\n"}`, invalid, "containerName", "pattern"),
		controlRow("CreateContainer", `{"ContainerName":5}`, serial, "containerName", "a string"),
		controlRow("CreateContainer", `{"ContainerName":{}}`, serial, "containerName", "a string", "an object"),
		controlRow("CreateContainer", `{"ContainerName":"live"}`, inUse, "live"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":{}}`, serial, "tags", "a list"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":["x"]}`, serial, "tags.1.member", "an object"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":[null]}`, invalid, "tags.1.member", "must not be null"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":[{"Value":"v"}]}`, invalid, "tags.1.member.key", "must not be null"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":[{"Key":""}]}`, invalid, "tags.1.member.key", "greater than or equal to 1"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":[{"Key":"`+strings.Repeat("k", 129)+`"}]}`, invalid, "tags.1.member.key", "128"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":[{"Key":"k","Value":"`+strings.Repeat("v", 257)+`"}]}`, invalid, "tags.1.member.value", "256"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":[{"Key":"aws:x"}]}`, invalid, "tags", "aws:"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":[{"Key":"AWS:x"}]}`, invalid, "tags", "aws:"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":[{"Key":"k"},{"Key":"k"}]}`, invalid, "tags", "twice"),
		controlRow("CreateContainer", `{"ContainerName":"new","Tags":[`+manyTags(51)+`]}`, invalid, "tags", "50"),

		controlRow("DescribeContainer", `{}`, invalid, "containerName", "must not be null"),
		controlRow("DescribeContainer", `{"ContainerName":"nothere"}`, noContainer, "nothere"),
		controlRow("DescribeContainer", `{"ContainerName":"Live"}`, noContainer, "Live"),
		controlRow("DescribeContainer", `{"ContainerName":"a b"}`, invalid, "containerName", "pattern"),
		controlRow("DeleteContainer", `{}`, invalid, "containerName", "must not be null"),
		controlRow("DeleteContainer", `{"ContainerName":"nothere"}`, noContainer, "nothere"),
		controlRow("DeleteContainer", `{"ContainerName":"live"}`, inUse, "object"),
		controlRow("StartAccessLogging", `{"ContainerName":"nothere"}`, noContainer, "nothere"),
		controlRow("StopAccessLogging", `{}`, invalid, "containerName", "must not be null"),

		controlRow("TagResource", `{"Tags":[{"Key":"k"}]}`, invalid, "resource", "must not be null"),
		controlRow("TagResource", `{"Resource":"`+arn("live")+`"}`, invalid, "tags", "must not be null"),
		controlRow("TagResource", `{"Resource":"live","Tags":[{"Key":"k"}]}`, invalid, "resource", "pattern"),
		controlRow("TagResource", `{"Resource":"arn:aws:s3:::bucket","Tags":[{"Key":"k"}]}`, invalid, "resource", "pattern"),
		controlRow("TagResource", `{"Resource":"`+arn("nothere")+`","Tags":[{"Key":"k"}]}`, noContainer, "nothere"),
		controlRow("TagResource", `{"Resource":"`+strings.Replace(arn("live"), region, "us-east-1", 1)+`","Tags":[{"Key":"k"}]}`, noContainer),
		controlRow("TagResource", `{"Resource":"`+strings.Replace(arn("live"), account, "999999999999", 1)+`","Tags":[{"Key":"k"}]}`, noContainer),
		controlRow("TagResource", `{"Resource":"`+arn("live")+`","Tags":[{"Key":"aws:k","Value":"v"}]}`, invalid, "tags", "aws:"),
		controlRow("TagResource", `{"Resource":"`+arn("live")+`","Tags":[`+manyTags(51)+`]}`, invalid, "tags", "50"),
		controlRow("UntagResource", `{"Resource":"`+arn("live")+`"}`, invalid, "tagKeys", "must not be null"),
		controlRow("UntagResource", `{"Resource":"`+arn("live")+`","TagKeys":"k"}`, serial, "tagKeys", "a list"),
		controlRow("UntagResource", `{"Resource":"`+arn("live")+`","TagKeys":[1]}`, serial, "tagKeys.1.member", "a string"),
		controlRow("UntagResource", `{"Resource":"`+arn("nothere")+`","TagKeys":["k"]}`, noContainer, "nothere"),
		controlRow("ListTagsForResource", `{}`, invalid, "resource", "must not be null"),
		controlRow("ListTagsForResource", `{"Resource":"`+arn("nothere")+`"}`, noContainer, "nothere"),
	}
	for _, kind := range []string{"ContainerPolicy", "LifecyclePolicy", "CorsPolicy", "MetricPolicy"} {
		code := noPolicy
		if kind == "CorsPolicy" {
			code = "CorsPolicyNotFoundException"
		}
		for _, verb := range []string{"Get", "Delete"} {
			rows = append(rows,
				controlRow(verb+kind, `{}`, invalid, "containerName", "must not be null"),
				controlRow(verb+kind, `{"ContainerName":"nothere"}`, noContainer, "nothere"))
			if kind != "ContainerPolicy" { // every new container has one
				rows = append(rows, controlRow(verb+kind, `{"ContainerName":"live"}`, code, "live"))
			}
		}
	}
	refuse(t, s, endpoint, rows)
}

func manyTags(n int) string {
	var tags []string
	for i := range n {
		tags = append(tags, fmt.Sprintf(`{"Key":"k%d","Value":"v"}`, i))
	}
	return strings.Join(tags, ",")
}

// putText is a call that puts a document which travels as a string.
func putText(operation, member, document string, words ...string) badRequest {
	text, _ := json.Marshal(document)
	row := controlRow(operation, `{"ContainerName":"live","`+member+`":`+string(text)+`}`, invalid, words...)
	row.name = operation + " " + document[:min(100, len(document))]
	return row
}

func TestBadDocuments(t *testing.T) {
	s, endpoint := forBadInput(t)
	refuse(t, s, endpoint, slices.Concat(badContainerPolicies(), badLifecyclePolicies(), badCorsPolicies(), badMetricPolicies()))
}

func badContainerPolicies() []badRequest {
	bad := func(document string, words ...string) badRequest {
		return putText("PutContainerPolicy", "Policy", document, append(words, "Policy")...)
	}
	// statement replaces one member of a good statement.
	statement := func(old, replacement string, words ...string) badRequest {
		good := `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":"*","Action":"mediastore:GetObject","Resource":"` + arn("live") + `/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`
		return bad(replaceOnce(good, old, replacement), words...)
	}
	return []badRequest{
		controlRow("PutContainerPolicy", `{"ContainerName":"live"}`, invalid, "policy", "must not be null"),
		controlRow("PutContainerPolicy", `{"Policy":"{}"}`, invalid, "containerName", "must not be null"),
		controlRow("PutContainerPolicy", `{"ContainerName":"live","Policy":{}}`, serial, "policy", "a string"),
		controlRow("PutContainerPolicy", `{"ContainerName":"live","Policy":"é"}`, invalid, "policy", "pattern"),
		controlRow("PutContainerPolicy", `{"ContainerName":"live","Policy":""}`, invalid, "policy", "greater than or equal to 1"),
		controlRow("PutContainerPolicy", `{"ContainerName":"live","Policy":"`+strings.Repeat("x", 8193)+`"}`, invalid, "policy", "8192"),
		bad(`not json`, "JSON"),
		bad(`{"Version":"2012-10-17","Statement":[`, "JSON"),
		bad(`[]`, "object"),
		bad(`{}`, "Statement"),
		bad(`{"Statement":[]}`, "Statement", "empty"),
		bad(`{"Statement":"x"}`, "Statement", "object"),
		bad(`{"Statement":[],"Statement":[]}`, "Statement", "twice"),
		bad(`{"Version":"2020-01-01","Statement":[]}`, "Version", "2012-10-17"),
		bad(`{"Version":"2012-10-17","Statements":[]}`, "Statements", "is not an element"),
		bad(strings.Repeat("[", 4000)+strings.Repeat("]", 4000), "nested"),
		statement(`"Effect":"Allow"`, `"Effect":"allow"`, "Statement[0].Effect", "Allow or Deny"),
		statement(`"Effect":"Allow",`, ``, "Statement[0]", "Effect"),
		statement(`"Principal":"*",`, ``, "Statement[0]", "Principal"),
		statement(`"Principal":"*"`, `"Principal":"bob"`, "Principal"),
		statement(`"Principal":"*"`, `"Principal":{"AWS":"arn:aws:iam::1:root"}`, "Principal.AWS", "account"),
		statement(`"Principal":"*"`, `"Principal":{"AWS":[]}`, "Principal.AWS", "empty"),
		statement(`"Principal":"*"`, `"Principal":"*","NotPrincipal":"*"`, "Principal and NotPrincipal"),
		statement(`"Action":"mediastore:GetObject",`, ``, "Statement[0]", "Action"),
		statement(`"mediastore:GetObject"`, `"GetObject"`, "Action", "mediastore:GetObject"),
		statement(`"mediastore:GetObject"`, `7`, "Action", "string"),
		statement(`"mediastore:GetObject"`, `[]`, "Action", "empty"),
		statement(`"Resource":"`+arn("live")+`/*",`, ``, "Statement[0]", "Resource"),
		statement(arn("live")+"/*", "live/*", "Resource"),
		statement(`"Bool"`, `"Boolean"`, "Condition.Boolean", "operator"),
		statement(`{"aws:SecureTransport":"true"}`, `"true"`, "Condition.Bool", "object"),
		statement(`"aws:SecureTransport"`, `"SecureTransport"`, "SecureTransport", "condition key"),
		statement(`"Bool":{"aws:SecureTransport":"true"}`, `"IpAddress":{"aws:SourceIp":"300.1.1.1"}`, "aws:SourceIp", "300.1.1.1"),
		statement(`"Sid":"a"`, `"Sid":"a/b"`, "Statement[0].Sid", "letters"),
		statement(`"Sid":"a"`, `"Comment":"a"`, "Comment", "is not an element"),
	}
}

// replaceOnce makes a good document bad. A row that changes nothing is a mistake
// here.
func replaceOnce(good, old, replacement string) string {
	if !strings.Contains(good, old) {
		panic("the document has no " + old)
	}
	return strings.Replace(good, old, replacement, 1)
}

func badLifecyclePolicies() []badRequest {
	bad := func(document string, words ...string) badRequest {
		return putText("PutLifecyclePolicy", "LifecyclePolicy", document, append(words, "LifecyclePolicy")...)
	}
	rule := func(definition, action string, words ...string) badRequest {
		return bad(`{"rules":[{"definition":{`+definition+`},"action":`+action+`}]}`, words...)
	}
	const wildcard, seconds, days = `"path":[{"wildcard":"a/*.ts"}]`, `"seconds_since_create":[{"numeric":[">",15]}]`, `"days_since_create":[{"numeric":[">",15]}]`
	return []badRequest{
		controlRow("PutLifecyclePolicy", `{"ContainerName":"live"}`, invalid, "lifecyclePolicy", "must not be null"),
		controlRow("PutLifecyclePolicy", `{"ContainerName":"live","LifecyclePolicy":[]}`, serial, "lifecyclePolicy", "a string"),
		controlRow("PutLifecyclePolicy", `{"ContainerName":"live","LifecyclePolicy":"`+strings.Repeat("x", 8193)+`"}`, invalid, "lifecyclePolicy", "8192"),
		bad(`{`, "JSON"),
		bad(`[]`, "object"),
		bad(`{}`, "rules", "required"),
		bad(`{"rules":[]}`, "rules", "1 to 10"),
		bad(`{"rules":[],"rules":[]}`, "rules", "twice"),
		bad(`{"rules":[{}]}`, "rules[0]"),
		bad(`{"Rules":[]}`, "Rules", "unknown"),
		rule(wildcard+`,`+seconds, `"DELETE"`, "rules[0].action", "EXPIRE or ARCHIVE"),
		rule(wildcard+`,`+seconds, `"ARCHIVE"`, "seconds_since_create", "ARCHIVE"),
		rule(wildcard+`,`+days, `"ARCHIVE"`, "days_since_create", "30"),
		rule(wildcard, `"EXPIRE"`, "rules[0].definition", "either seconds_since_create or days_since_create"),
		rule(wildcard+`,`+seconds+`,`+days, `"EXPIRE"`, "rules[0].definition", "either seconds_since_create or days_since_create"),
		rule(seconds, `"EXPIRE"`, "rules[0].definition.path", "required"),
		rule(`"path":[{"prefix":"a"}],`+seconds, `"EXPIRE"`, "path[0].prefix", "wildcard"),
		rule(`"path":[{"prefix":"a"},{"wildcard":"b"}],`+days, `"EXPIRE"`, "path[1]", "mixes"),
		rule(`"path":[{"prefix":"a","wildcard":"b"}],`+days, `"EXPIRE"`, "path[0]", "either prefix or wildcard"),
		rule(`"path":[{"wildcard":"a b"}],`+days, `"EXPIRE"`, "path[0].wildcard", "letters"),
		rule(`"path":[{"wildcard":""}],`+days, `"EXPIRE"`, "path[0].wildcard", "empty"),
		rule(`"path":[{"wildcard":"`+strings.Repeat("a", 901)+`"}],`+days, `"EXPIRE"`, "path[0].wildcard", "900"),
		rule(`"path":[`+strings.Repeat(`{"prefix":"a"},`, 10)+`{"prefix":"a"}],`+days, `"EXPIRE"`, "path", "1 to 10"),
		rule(wildcard+`,"seconds_since_create":[{"numeric":[">",0]}]`, `"EXPIRE"`, "numeric[1]", "1 to 300"),
		rule(wildcard+`,"seconds_since_create":[{"numeric":[">",301]}]`, `"EXPIRE"`, "numeric[1]", "1 to 300"),
		rule(wildcard+`,"seconds_since_create":[{"numeric":["<",30]}]`, `"EXPIRE"`, "numeric[0]", ">"),
		rule(wildcard+`,"seconds_since_create":[{"numeric":[">","30"]}]`, `"EXPIRE"`, "numeric[1]", "integer"),
		rule(wildcard+`,"seconds_since_create":[{"numeric":[">"]}]`, `"EXPIRE"`, "numeric", "2 elements"),
		rule(wildcard+`,"days_since_create":[{"numeric":[">",36501]}]`, `"EXPIRE"`, "numeric[1]", "36500"),
		rule(wildcard+`,"days_since_create":[{"numeric":[">",1.5]}]`, `"EXPIRE"`, "numeric[1]", "integer"),
		bad(`{"rules":[`+strings.TrimSuffix(strings.Repeat(`{"definition":{`+wildcard+`,`+days+`},"action":"EXPIRE"},`, 11), ",")+`]}`, "rules", "1 to 10"),
	}
}

func badCorsPolicies() []badRequest {
	bad := func(policy, code string, words ...string) badRequest {
		return controlRow("PutCorsPolicy", `{"ContainerName":"live","CorsPolicy":`+policy+`}`, code, words...)
	}
	rule := func(old, replacement string, code string, words ...string) badRequest {
		good := `[{"AllowedOrigins":["*"],"AllowedMethods":["GET"],"AllowedHeaders":["*"],"ExposeHeaders":["ETag"],"MaxAgeSeconds":1}]`
		return bad(replaceOnce(good, old, replacement), code, words...)
	}
	return []badRequest{
		controlRow("PutCorsPolicy", `{"ContainerName":"live"}`, invalid, "corsPolicy", "must not be null"),
		bad(`{}`, serial, "corsPolicy", "a list"),
		bad(`"x"`, serial, "corsPolicy", "a list"),
		bad(`[]`, invalid, "corsPolicy", "greater than or equal to 1"),
		bad(`[7]`, serial, "corsPolicy.1.member", "an object"),
		bad(`[{}]`, invalid, "corsPolicy.1.member.allowed", "must not be null"),
		rule(`"AllowedOrigins":["*"],`, ``, invalid, "corsPolicy.1.member.allowedOrigins", "must not be null"),
		rule(`"AllowedHeaders":["*"],`, ``, invalid, "corsPolicy.1.member.allowedHeaders", "must not be null"),
		rule(`"AllowedOrigins":["*"]`, `"AllowedOrigins":[]`, invalid, "allowedOrigins", "greater than or equal to 1"),
		rule(`"AllowedOrigins":["*"]`, `"AllowedOrigins":"*"`, serial, "allowedOrigins", "a list"),
		rule(`"AllowedOrigins":["*"]`, `"AllowedOrigins":["example.com"]`, invalid, "AllowedOrigins[0]", "scheme://host"),
		rule(`"AllowedOrigins":["*"]`, `"AllowedOrigins":["http://*.*.example"]`, invalid, "AllowedOrigins[0]", "one *"),
		rule(`"AllowedOrigins":["*"]`, `"AllowedOrigins":["http://a/"]`, invalid, "AllowedOrigins[0]", "slash"),
		rule(`"AllowedMethods":["GET"]`, `"AllowedMethods":["POST"]`, invalid, "allowedMethods.1.member", "enum"),
		rule(`"AllowedMethods":["GET"]`, `"AllowedMethods":["get"]`, invalid, "allowedMethods.1.member", "enum"),
		rule(`"AllowedMethods":["GET"]`, `"AllowedMethods":["GET","PUT","HEAD","DELETE","GET"]`, invalid, "allowedMethods", "less than or equal to 4"),
		rule(`"AllowedMethods":["GET"]`, `"AllowedMethods":[]`, invalid, "allowedMethods", "greater than or equal to 1"),
		rule(`"AllowedHeaders":["*"]`, `"AllowedHeaders":["a b"]`, invalid, "AllowedHeaders[0]", "header name"),
		rule(`"ExposeHeaders":["ETag"]`, `"ExposeHeaders":["E\r\nTag: x"]`, invalid, "xposeHeaders", "header name"),
		rule(`"MaxAgeSeconds":1`, `"MaxAgeSeconds":-1`, invalid, "maxAgeSeconds", "greater than or equal to 0"),
		rule(`"MaxAgeSeconds":1`, `"MaxAgeSeconds":2147483648`, invalid, "maxAgeSeconds", "2147483647"),
		rule(`"MaxAgeSeconds":1`, `"MaxAgeSeconds":"1"`, serial, "maxAgeSeconds", "an integer"),
		bad(`[`+strings.Repeat(`{},`, 100)+`{}]`, invalid, "corsPolicy", "less than or equal to 100"),
	}
}

func badMetricPolicies() []badRequest {
	bad := func(policy, code string, words ...string) badRequest {
		return controlRow("PutMetricPolicy", `{"ContainerName":"live","MetricPolicy":`+policy+`}`, code, words...)
	}
	rules := func(rules, code string, words ...string) badRequest {
		return bad(`{"ContainerLevelMetrics":"ENABLED","MetricPolicyRules":`+rules+`}`, code, words...)
	}
	six := ""
	for i := range 6 {
		six += fmt.Sprintf(`,{"ObjectGroup":"a%d","ObjectGroupName":"a%d"}`, i, i)
	}
	return []badRequest{
		controlRow("PutMetricPolicy", `{"ContainerName":"live"}`, invalid, "metricPolicy", "must not be null"),
		bad(`"x"`, serial, "metricPolicy", "an object"),
		bad(`{}`, invalid, "metricPolicy.containerLevelMetrics", "must not be null"),
		bad(`{"ContainerLevelMetrics":"ON"}`, invalid, "metricPolicy.containerLevelMetrics", "enum"),
		bad(`{"ContainerLevelMetrics":true}`, serial, "metricPolicy.containerLevelMetrics", "a string"),
		rules(`{}`, serial, "metricPolicy.metricPolicyRules", "a list"),
		rules(`[]`, invalid, "metricPolicy.metricPolicyRules", "greater than or equal to 1"),
		rules(`[{}]`, invalid, "metricPolicyRules.1.member", "must not be null"),
		rules(`[{"ObjectGroup":"a","ObjectGroupName":"a b"}]`, invalid, "objectGroupName", "pattern"),
		rules(`[{"ObjectGroup":"a","ObjectGroupName":"`+strings.Repeat("a", 31)+`"}]`, invalid, "objectGroupName", "30"),
		rules(`[{"ObjectGroup":"`+strings.Repeat("a", 901)+`","ObjectGroupName":"a"}]`, invalid, "objectGroup", "900"),
		rules(`[{"ObjectGroup":"a b","ObjectGroupName":"a"}]`, invalid, "bjectGroup"),
		rules(`[{"ObjectGroup":"a","ObjectGroupName":"a"},{"ObjectGroup":"b","ObjectGroupName":"a"}]`, invalid, "MetricPolicyRules[1].ObjectGroupName", "earlier"),
		rules(`[`+six[1:]+`]`, invalid, "MetricPolicyRules", "6", "quota is 5"),
	}
}

// dataRow is a request to a path below the container, as it goes on the wire.
func dataRow(method, target, body string, status int, code string, words []string, headers ...string) badRequest {
	return badRequest{fmt.Sprintf("%s %.80s %.120q", method, target, headers), rawRequest(method, target, body, headers...), status, code, words}
}

func TestBadPaths(t *testing.T) {
	s, endpoint := forBadInput(t)
	root := rawTarget(endpoint, "")
	var rows []badRequest
	for path, words := range map[string][]string{
		"..":                            {"Path", `".."`, "not allowed"},
		"../a":                          {"Path", `".."`, "not allowed"},
		"a/../b":                        {"Path", `".."`, "not allowed"},
		"a/./b":                         {"Path", `"."`, "not allowed"},
		"a/..":                          {"Path", `".."`, "not allowed"},
		"%2e%2e/a":                      {"Path", `".."`, "not allowed"},
		"a/%2E%2e/%2e%2e/etc/passwd":    {"Path", `".."`, "not allowed"},
		"..%2f..%2fetc/passwd":          {"Path", `".."`, "not allowed"},
		"a//b":                          {"Path", "empty element"},
		"//a":                           {"Path", "empty element"},
		"%2f%2fa":                       {"Path", "empty element"},
		"a/":                            {"Path", "empty element"},
		"a%00b":                         {"Path", "letters, digits"},
		"a%0ab":                         {"Path", "letters, digits"},
		"a%0d%0aX-Evil:%20yes":          {"Path", "letters, digits"},
		"a%20b":                         {"Path", "letters, digits"},
		"a+b":                           {"Path", "letters, digits"},
		"a\\b":                          {"Path", "letters, digits"},
		"a%5cb":                         {"Path", "letters, digits"},
		"a%252e":                        {"Path", "letters, digits"},
		"%ff%fe":                        {"Path", "letters, digits"},
		"%c3%a9":                        {"Path", "letters, digits"},
		"é":                             {"Path", "letters, digits"},
		"a*":                            {"Path", "letters, digits"},
		"<script>":                      {"Path", "letters, digits"},
		strings.Repeat("a", 901):        {"Path", "901", "900"},
		strings.Repeat("a/", 450) + "a": {"Path", "901", "900"},
		strings.Repeat("a/", 11) + "a":  {"Path", "11", "10"},
		strings.Repeat("a", 20000):      {"Path", "20000", "900"},
	} {
		for _, method := range []string{"PUT", "POST", "GET", "DELETE"} {
			rows = append(rows, dataRow(method, root+path, "x", 400, invalid, words))
		}
		rows = append(rows, dataRow("HEAD", root+path, "", 400, invalid, nil))
	}
	for _, path := range []string{"", "/"} { // where there is no object
		for _, method := range []string{"PUT", "POST", "DELETE"} {
			rows = append(rows, dataRow(method, root+path, "x", 400, invalid, []string{"Path", "empty"}))
		}
	}
	for _, path := range []string{"/nowhere", "/nowhere/a", "/-nowhere", "/aaaaaaaaaaaaaa", "/aaaaaaaaaaaaaa/", "/aaaaaaaaaaaaaa/a.ts", "/aaaaaaaaaaaaa/a.ts", "/index.php"} {
		for _, method := range []string{"GET", "PUT", "DELETE", "POST"} {
			rows = append(rows, dataRow(method, path, "x", 404, noContainer, []string{"Container not found"}))
		}
	}
	for _, path := range []string{"nothere", "there.ts/a", "There.ts", "a/b/c"} {
		rows = append(rows,
			dataRow("GET", root+path, "", 404, "ObjectNotFoundException", []string{"Object not found"}),
			dataRow("HEAD", root+path, "", 404, "ObjectNotFoundException", nil),
			dataRow("DELETE", root+path, "", 404, "ObjectNotFoundException", []string{"Object not found"}))
	}
	refuse(t, s, endpoint, rows)
	// The longest and deepest that are allowed.
	for _, path := range []string{strings.Repeat("a", 900), strings.Repeat("a/", 10) + "b", "%2Fa%3Db%3Ac.~-_", "...", "a..b/..c"} {
		putObject(t, endpoint, path, "x")
		rawCall(t, "GET", endpoint, path, "").is(t, path, http.StatusOK, "x")
	}
}

func TestBadHeaders(t *testing.T) {
	s, endpoint := forBadInput(t)
	object := rawTarget(endpoint, "new.ts")
	there := rawTarget(endpoint, "there.ts")
	var rows []badRequest
	header := func(status int, code, line string, words ...string) {
		rows = append(rows, dataRow("PUT", object, "hello", status, code, words, line))
	}
	header(400, invalid, "Content-Type: video mp4", "Content-Type", "media type")
	header(400, invalid, "Content-Type: "+strings.Repeat("a", 256), "Content-Type", "255")
	header(400, invalid, "Content-Type: ;charset=utf-8", "Content-Type", "media type")
	header(400, invalid, "Content-Type: video/mp4; codecs=\"", "Content-Type", "media type")
	header(400, invalid, "Content-Type: vidéo/mp4", "Content-Type", "media type")
	header(400, invalid, "Content-Type: <script>", "Content-Type", "media type")
	header(400, invalid, "Cache-Control: "+strings.Repeat("a", 1025), "Cache-Control", "1025", "1024")
	header(400, invalid, "x-amz-storage-class: STANDARD", "x-amz-storage-class", "TEMPORAL")
	header(400, invalid, "x-amz-storage-class: temporal", "x-amz-storage-class", "TEMPORAL")
	header(400, invalid, "x-amz-upload-availability: streaming", "x-amz-upload-availability", "STANDARD or STREAMING")
	header(400, invalid, "x-amz-upload-availability: STREAMING,STREAMING", "x-amz-upload-availability", "STANDARD or STREAMING")
	header(400, invalid, "Content-MD5: !", "Content-MD5", "base64")
	header(400, invalid, "Content-MD5: XrY7", "Content-MD5", "16 bytes")
	header(400, invalid, "Content-MD5: 5d41402abc4b2a76b9719d911017c592", "Content-MD5", "16 bytes") // hexadecimal
	header(400, "BadDigestException", "Content-MD5: XrY7u+Ae7tCTyyK7j1rNww==", "Content-MD5", "another MD5")
	header(400, invalid, "x-amz-content-sha256: abc", "x-amz-content-sha256", "64 hexadecimal")
	header(400, invalid, "x-amz-content-sha256: "+strings.Repeat("g", 64), "x-amz-content-sha256", "64 hexadecimal")
	header(400, invalid, "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-content-sha256")
	header(400, "BadDigestException", "x-amz-content-sha256: "+strings.Repeat("0", 64), "x-amz-content-sha256", "another SHA-256")
	header(400, invalid, `If-Match: "a`, "If-Match", "ETags")
	header(400, invalid, `If-Match: a b`, "If-Match", "ETags")
	header(400, invalid, `If-None-Match: `+strings.Repeat("a,", 100)+"a", "If-None-Match", "100")
	header(400, invalid, `If-None-Match: *, "a"`, "If-None-Match", "ETags")
	header(400, invalid, `If-Match: "aa", *`, "If-Match", "ETags")
	header(412, "PreconditionFailedException", `If-Match: *`)
	header(412, "PreconditionFailedException", `If-Match: "aa"`)
	for _, spec := range []string{"bytes=10-", "bytes=10-20", "bytes=5-2", "bytes=-0", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "bytes= 1-2", "bytes=--1", "bytes=1", "lines=0-1", "0-1", "bytes=99999999999999999999999-"} {
		rows = append(rows, dataRow("GET", there, "", 416, "RequestedRangeNotSatisfiableException", []string{"Range"}, "Range: "+spec))
	}
	for _, method := range []string{"PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "FOO", strings.Repeat("M", 500)} {
		rows = append(rows, dataRow(method, there, "", 405, "MethodNotAllowedException", []string{"method", "DELETE, GET, HEAD"}))
	}
	rows = append(rows, dataRow("OPTIONS", there, "", 403, "AccessDeniedException", []string{"CORS"}, "Origin: http://a", "Access-Control-Request-Method: GET"))
	refuse(t, s, endpoint, rows)
}

func TestBadListRequests(t *testing.T) {
	s, endpoint := forBadInput(t)
	var rows []badRequest
	for query, words := range map[string][]string{
		"MaxResults=0":                           {"MaxResults", "1 to 1000"},
		"MaxResults=1001":                        {"MaxResults", "1 to 1000"},
		"MaxResults=-1":                          {"MaxResults", "1 to 1000"},
		"MaxResults=x":                           {"MaxResults", "1 to 1000"},
		"MaxResults=1.5":                         {"MaxResults", "1 to 1000"},
		"MaxResults=99999999999999999999":        {"MaxResults", "1 to 1000"},
		"NextToken=x":                            {"NextToken", "ListItems"},
		"NextToken=!!!!":                         {"NextToken", "ListItems"},
		"NextToken=Tw==":                         {"NextToken", "ListItems"},
		"NextToken=" + strings.Repeat("A", 4000): {"NextToken", "ListItems"},
		"Path=..":                                {"Path", `".."`},
		"Path=a/../b":                            {"Path", `".."`},
		"Path=%2e%2e":                            {"Path", `".."`},
		"Path=a//b":                              {"Path", "empty element"},
		"Path=//":                                {"Path", "empty element"},
		"Path=a%00":                              {"Path", "letters, digits"},
		"Path=a%20b":                             {"Path", "letters, digits"},
		"Path=" + strings.Repeat("a", 901):       {"Path", "901", "900"},
		"Path=" + strings.Repeat("a/", 11) + "a": {"Path", "12", "11"},
		"Path=%zz":                               {"query", "percent-encoded"},
		"Path=a&MaxResults=%":                    {"query", "percent-encoded"},
		"a;b":                                    {"query"},
	} {
		rows = append(rows, dataRow("GET", rawTarget(endpoint, "?"+query), "", 400, invalid, words))
	}
	refuse(t, s, endpoint, rows)
}

func TestBadCredentials(t *testing.T) {
	s, endpoint := forBadInput(t)
	host := strings.TrimPrefix(s.URL, "http://")
	object := rawTarget(endpoint, "there.ts")
	now := time.Now().UTC()
	stamp := now.Format("20060102T150405Z")
	scope := now.Format("20060102") + "/" + region + "/mediastore/aws4_request"
	var rows []badRequest
	add := func(name, code string, words []string, headers ...string) {
		// PUT, so that a credential that is wrongly taken for right would show twice.
		rows = append(rows, badRequest{name, rawRequest("PUT", object, "stolen", append(headers, "Host: "+host)...), 403, code, words})
		rows = append(rows, badRequest{name + ", control plane", operationRequest("DeleteContainer", `{"ContainerName":"live"}`, append(headers, "Host: "+host)...), 403, code, words})
	}
	const incomplete, wrong, unknown = "IncompleteSignatureException", "InvalidSignatureException", "UnrecognizedClientException"
	for _, value := range []string{"garbage", "Bearer abc", "Digest username=a", "basic", "Basic", "Basic !!!", "Basic bm9jb2xvbg=="} {
		add(value, incomplete, []string{"Authorization", "Basic"}, "Authorization: "+value)
	}
	add("empty Basic", unknown, []string{"access key"}, "Authorization: Basic Og==")
	add("Basic, another key", unknown, []string{"access key"}, basic("AKIDSOMEBODYELSE", secretKey))
	add("Basic, another secret", wrong, []string{"secret"}, basic(accessKey, "wrong"))
	add("Basic, half a secret", wrong, []string{"secret"}, basic(accessKey, secretKey[:10]))

	const sig = "Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	credential := "Credential=" + accessKey + "/" + scope
	sigv4 := func(name, code string, words []string, parts string, headers ...string) {
		add(name, code, words, append(headers, "Authorization: AWS4-HMAC-SHA256 "+parts)...)
	}
	date := "X-Amz-Date: " + stamp
	sigv4("nothing after the algorithm", incomplete, []string{"Authorization", "Credential, SignedHeaders and Signature"}, "", date)
	sigv4("no signature", incomplete, []string{"Signature", "64"}, credential+", SignedHeaders=host;x-amz-date", date)
	sigv4("a short signature", incomplete, []string{"Signature", "64"}, credential+", SignedHeaders=host;x-amz-date, Signature=abc", date)
	sigv4("no hexadecimal signature", incomplete, []string{"Signature", "hexadecimal"}, credential+", SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("z", 64), date)
	sigv4("a signature twice", incomplete, []string{"once each"}, credential+", SignedHeaders=host;x-amz-date, "+sig+", "+sig, date)
	sigv4("a credential that is none", incomplete, []string{"Credential"}, "Credential="+accessKey+", SignedHeaders=host;x-amz-date, "+sig, date)
	sigv4("no signed host", incomplete, []string{"SignedHeaders", "host"}, credential+", SignedHeaders=x-amz-date, "+sig, date)
	sigv4("a date that is not signed", incomplete, []string{"SignedHeaders", "x-amz-date"}, credential+", SignedHeaders=host, "+sig, date)
	sigv4("no date", incomplete, []string{"X-Amz-Date"}, credential+", SignedHeaders=host, "+sig)
	sigv4("a date that is none", incomplete, []string{"X-Amz-Date", "YYYYMMDD"}, credential+", SignedHeaders=host;x-amz-date, "+sig, "X-Amz-Date: yesterday")
	sigv4("a signed header that is missing", wrong, []string{"SignedHeaders", "x-missing"}, credential+", SignedHeaders=host;x-amz-date;x-missing, "+sig, date)
	sigv4("a wrong signature", wrong, []string{"signature"}, credential+", SignedHeaders=host;x-amz-date, "+sig, date)
	sigv4("another key", unknown, []string{"access key"}, "Credential=AKIDSOMEBODYELSE/"+scope+", SignedHeaders=host;x-amz-date, "+sig, date)
	sigv4("another region", wrong, []string{"region", region, "eu-west-1"}, strings.Replace(credential, region, "eu-west-1", 1)+", SignedHeaders=host;x-amz-date, "+sig, date)
	sigv4("another service", wrong, []string{"service", "mediastore", "s3"}, strings.Replace(credential, "/mediastore/", "/s3/", 1)+", SignedHeaders=host;x-amz-date, "+sig, date)
	sigv4("another day", wrong, []string{"20010101"}, strings.Replace(credential, now.Format("20060102"), "20010101", 1)+", SignedHeaders=host;x-amz-date, "+sig, date)
	sigv4("a session token", unknown, []string{"token"}, credential+", SignedHeaders=host;x-amz-date;x-amz-security-token, "+sig, date, "X-Amz-Security-Token: abc")
	old := now.Add(-16 * time.Minute)
	sigv4("signed 16 minutes ago", "RequestExpired", []string{"15 minutes"}, "Credential="+accessKey+"/"+old.Format("20060102")+"/"+region+"/mediastore/aws4_request, SignedHeaders=host;x-amz-date, "+sig, "X-Amz-Date: "+old.Format("20060102T150405Z"))
	ahead := now.Add(20 * time.Minute)
	sigv4("signed in 20 minutes", "RequestExpired", []string{"15 minutes"}, "Credential="+accessKey+"/"+ahead.Format("20060102")+"/"+region+"/mediastore/aws4_request, SignedHeaders=host;x-amz-date, "+sig, "X-Amz-Date: "+ahead.Format("20060102T150405Z"))
	add("4A", incomplete, []string{"4A", "AWS4-HMAC-SHA256"}, "Authorization: AWS4-ECDSA-P256-SHA256 "+credential, date)
	add("a long one", incomplete, []string{"Authorization", "bytes"}, "Authorization: AWS4-HMAC-SHA256 "+strings.Repeat("x", 10000), date)

	rows = append(rows, badPresigned(t, endpoint, host)...)
	refuse(t, s, endpoint, rows)
}

// badPresigned takes a good presigned URL and breaks it, each row in another place.
func badPresigned(t *testing.T, endpoint, host string) (rows []badRequest) {
	t.Helper()
	good := presign(t, http.MethodGet, endpoint+"/there.ts", time.Now(), 900)
	if a := roundTrip(t, endpoint, rawRequest("GET", good.RequestURI(), "", anonymous, "Host: "+host)); a.Status != http.StatusOK {
		t.Fatalf("a good presigned URL: %d %s", a.Status, a.Body)
	}
	add := func(name, code string, words []string, change func(url.Values), headers ...string) {
		query := good.Query()
		change(query)
		rows = append(rows, badRequest{"presigned, " + name, rawRequest("GET", good.Path+"?"+query.Encode(), "", append(headers, "Host: "+host)...), 403, code, words})
	}
	without := func(name string) func(url.Values) { return func(q url.Values) { q.Del(name) } }
	set := func(name, value string) func(url.Values) { return func(q url.Values) { q.Set(name, value) } }
	const incomplete, wrong = "IncompleteSignatureException", "InvalidSignatureException"
	add("no credential", incomplete, []string{"Credential"}, without("X-Amz-Credential"), anonymous)
	add("no signature", incomplete, []string{"Signature"}, without("X-Amz-Signature"), anonymous)
	add("no signed headers", incomplete, []string{"SignedHeaders"}, without("X-Amz-SignedHeaders"), anonymous)
	add("no date", incomplete, []string{"X-Amz-Date"}, without("X-Amz-Date"), anonymous)
	add("no end", incomplete, []string{"X-Amz-Expires", "604800"}, without("X-Amz-Expires"), anonymous)
	add("no algorithm is no signature", "AccessDeniedException", []string{"anonymous"}, without("X-Amz-Algorithm"), anonymous)
	add("another algorithm", incomplete, []string{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"}, set("X-Amz-Algorithm", "md5"), anonymous)
	add("no time", incomplete, []string{"X-Amz-Expires"}, set("X-Amz-Expires", "0"), anonymous)
	add("too long", incomplete, []string{"X-Amz-Expires", "604800"}, set("X-Amz-Expires", "604801"), anonymous)
	add("longer than signed", wrong, []string{"signature"}, set("X-Amz-Expires", "901"), anonymous)
	add("more in the query", wrong, []string{"signature"}, set("x", "y"), anonymous)
	add("signed twice", incomplete, []string{"header and in the query"}, func(url.Values) {}, "Authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=a")
	add("a parameter twice", incomplete, []string{"once"}, func(q url.Values) { q.Add("X-Amz-Expires", "900") }, anonymous)
	put := rawRequest("PUT", good.RequestURI(), "stolen", anonymous, "Host: "+host)
	rows = append(rows, badRequest{"presigned for GET, used for PUT", put, 403, wrong, []string{"signature"}})
	elsewhere := rawRequest("GET", strings.Replace(good.RequestURI(), "there.ts", "other.ts", 1), "", anonymous, "Host: "+host)
	rows = append(rows, badRequest{"presigned for another path", elsewhere, 403, wrong, []string{"signature"}})
	old := presign(t, http.MethodGet, endpoint+"/there.ts", time.Now().Add(-time.Hour), 900)
	rows = append(rows, badRequest{"presigned, expired", rawRequest("GET", old.RequestURI(), "", anonymous, "Host: "+host), 403, "RequestExpired", []string{"expired"}})
	return rows
}

// presign signs a URL as an SDK would, for the root user.
func presign(t *testing.T, method, rawURL string, at time.Time, seconds int) *url.URL {
	t.Helper()
	req, err := http.NewRequest(method, fmt.Sprintf("%s?X-Amz-Expires=%d", rawURL, seconds), nil)
	if err != nil {
		t.Fatal(err)
	}
	key := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	signed, _, err := v4.NewSigner().PresignHTTP(context.Background(), key, req, "UNSIGNED-PAYLOAD", "mediastore", region, at)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestBadBodies sends bodies that are too long or not whole.
func TestBadBodies(t *testing.T) {
	s, endpoint := forBadInput(t, "--max-object-size", "1MB", "--max-streaming-object-size", "500kB")
	object := rawTarget(endpoint, "there.ts") // must stay what it is
	mega := strings.Repeat("x", 1_000_000)
	chunked := func(body string, headers ...string) string {
		return rawRequest("PUT", object, body, append(headers, "Transfer-Encoding: chunked")...)
	}
	sized := func(n int, body string, headers ...string) string {
		return rawRequest("PUT", object, body, append(headers, fmt.Sprint("Content-Length: ", n))...)
	}
	const tooLarge, notWhole = "RequestEntityTooLargeException", "IncompleteBodyException"
	before := everything(t, s, endpoint)
	for _, row := range []struct {
		badRequest
		end bool // the client sends no more, and says so
	}{
		{badRequest{"a Content-Length beyond the quota", sized(1_000_001, ""), 413, tooLarge, []string{"1000001", "1000000"}}, false},
		{badRequest{"a very large Content-Length", sized(1<<62, ""), 413, tooLarge, []string{"1000000"}}, false},
		{badRequest{"the same with a body", rawRequest("PUT", object, mega+"y"), 413, tooLarge, []string{"1000000"}}, false},
		{badRequest{"chunks beyond the quota", chunked(fmt.Sprintf("%x\r\n%s\r\n1\r\ny\r\n", len(mega), mega)), 413, tooLarge, []string{"1000000"}}, false},
		{badRequest{"STREAMING beyond its quota", sized(500_001, "", streaming), 413, tooLarge, []string{"500000"}}, false},
		{badRequest{"STREAMING chunks beyond the quota", chunked(fmt.Sprintf("%x\r\n%s", 500_001, mega[:500_001]), streaming), 413, tooLarge, []string{"500000"}}, false},

		{badRequest{"less than Content-Length says", sized(5, "hel"), 400, notWhole, []string{"ended before"}}, true},
		{badRequest{"no body at all", sized(5, ""), 400, notWhole, []string{"ended before"}}, true},
		{badRequest{"no last chunk", chunked("5\r\nhello\r\n"), 400, notWhole, []string{"ended before"}}, true},
		{badRequest{"half a chunk and the end", chunked("5\r\nhel"), 400, notWhole, []string{"ended before"}}, true},
		{badRequest{"no chunk at all", chunked(""), 400, notWhole, []string{"ended before"}}, true},
		{badRequest{"a chunk size that is none", chunked("zz\r\nhello\r\n0\r\n\r\n"), 400, notWhole, []string{"body"}}, true},
		{badRequest{"a negative chunk size", chunked("-5\r\nhello\r\n0\r\n\r\n"), 400, notWhole, []string{"body"}}, true},
		{badRequest{"a chunk size beyond numbers", chunked("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), 400, notWhole, []string{"body"}}, true},
		{badRequest{"a chunk longer than its size", chunked("3\r\nhello\r\n0\r\n\r\n"), 400, notWhole, []string{"body"}}, true},
		{badRequest{"no line end after the size", chunked("5hello0"), 400, notWhole, []string{"body"}}, true},
		{badRequest{"a size line without end", chunked(strings.Repeat("0", 100_000)), 400, notWhole, []string{"body"}}, true},
	} {
		c := dial(t, s.URL)
		c.send(row.request)
		if row.end {
			_ = c.Conn.(*net.TCPConn).CloseWrite()
		}
		a := c.answer("PUT")
		if err := a.refused(row.status, row.code, row.words...); err != nil {
			t.Errorf("%s: %v\n  answer: %d %s", row.name, err, a.Status, a.Body)
		}
	}
	if after := everything(t, s, endpoint); after != before {
		t.Errorf("refused uploads have changed something:\n%s\nwas:\n%s", after, before)
	}
	putObject(t, endpoint, "full.ts", mega)
	putObject(t, endpoint, "full.ts", mega[:500_000], streaming)
	wantWell(t, s)
}

// TestPausingUploads sends the beginning of uploads and never goes on. The clients
// keep their connections open and wait for the answer.
func TestPausingUploads(t *testing.T) {
	s, endpoint := forBadInput(t, "--upload-idle-timeout", "300ms")
	object := rawTarget(endpoint, "new.ts")
	chunked := func(body string, headers ...string) string {
		return rawRequest("PUT", object, body, append(headers, "Transfer-Encoding: chunked")...)
	}
	sized := func(body string) string { return rawRequest("PUT", object, body, "Content-Length: 5") }
	refuse(t, s, endpoint, []badRequest{
		{"nothing of the body", sized(""), 408, "RequestTimeoutException", []string{"in time"}},
		{"a part of the body", sized("hel"), 408, "RequestTimeoutException", []string{"in time"}},
		{"no chunk", chunked(""), 408, "RequestTimeoutException", []string{"in time"}},
		{"half a chunk", chunked("5\r\nhel"), 408, "RequestTimeoutException", []string{"in time"}},
		{"a chunk without an end", chunked("5\r\nhello\r\n"), 408, "RequestTimeoutException", []string{"in time"}},
		{"STREAMING, a chunk without an end", chunked("5\r\nhello\r\n", streaming), 408, "RequestTimeoutException", []string{"in time"}},
	})
}

// TestUploadThatNeverEnds goes on sending, byte by byte, until it is told that it
// took too long.
func TestUploadThatNeverEnds(t *testing.T) {
	s, endpoint := forBadInput(t, "--upload-timeout", "500ms")
	up := beginChunked(t, endpoint, "slow.ts", streaming)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				up.chunk("x")
			}
		}
	}()
	if err := up.answer("PUT").refused(408, "RequestTimeoutException", "in time"); err != nil {
		t.Error(err)
	}
	if got := listNames(t, endpoint, ""); !slices.Equal(got, []string{"there.ts"}) {
		t.Errorf("the list has %q", got)
	}
	wantWell(t, s)
}

// TestControlBodyThatNeverEnds: nobody may hold a connection of the control plane
// for ever, least of all before it is known who that is.
func TestControlBodyThatNeverEnds(t *testing.T) {
	t.Parallel() // it waits
	s, _ := forBadInput(t)
	a := roundTrip(t, s.URL, operationRequest("ListContainers", "{", "Content-Length: 100"))
	if err := a.refused(http.StatusBadRequest, serial, "ended before"); err != nil {
		t.Error(err)
	}
	wantWell(t, s)
}

func TestTooManyUploads(t *testing.T) {
	s, endpoint := forBadInput(t, "--max-uploads", "2")
	var uploads []*rawConn
	for _, path := range []string{"a.ts", "b.ts"} {
		up := beginChunked(t, endpoint, path, streaming)
		up.chunk("x")
		untilVisible(t, endpoint, path)
		uploads = append(uploads, up)
	}
	a := rawCall(t, "PUT", endpoint, "c.ts", "x")
	if err := a.refused(http.StatusServiceUnavailable, "ServiceUnavailableException", "2 uploads"); err != nil || a.Header.Get("Retry-After") == "" {
		t.Errorf("one upload too many: %v; %v", err, a.Header)
	}
	uploads[0].end()
	uploads[0].answer("PUT").etag(t)
	putObject(t, endpoint, "c.ts", "x")
	wantWell(t, s)
}

// TestNotHTTP sends what is not a request that a handler could see. Whatever the
// answer says, the connection ends, and the server goes on.
func TestNotHTTP(t *testing.T) {
	s, endpoint := forBadInput(t)
	object := rawTarget(endpoint, "there.ts")
	before := everything(t, s, endpoint)
	for _, test := range []struct {
		request string
		status  int
	}{
		{"GARBAGE\r\n\r\n", 400},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n", 400},
		{"GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET " + object + "%2 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET " + object + "\x00 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET " + object + " b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET " + object + " HTTP/1.1\r\n\r\n", 400},
		{"GET " + object + " HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"GET " + object + " HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		{"GET " + object + " HTTP/1.1\r\nHost : a\r\n\r\n", 400},
		{"GET " + object + " HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", 400},
		{"GET " + object + " HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("a", 100_000) + "\r\n\r\n", 431},
		{"GET " + object + " HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: a\r\n", 20_000) + "\r\n", 431},
		{"GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\nHost: h\r\n\r\n", 431},
		{rawRequest("PUT", object, "hello", "Content-Length: -5"), 400},
		{rawRequest("PUT", object, "hello", "Content-Length: five"), 400},
		{rawRequest("PUT", object, "hello", "Content-Length: 5", "Content-Length: 4"), 400},
		{rawRequest("PUT", object, "hello", "Content-Length: 99999999999999999999"), 400},
		{rawRequest("PUT", object, "hello", "Transfer-Encoding: gzip"), 501}, // RFC 9112, section 6.1
		{rawRequest("PUT", object, "hello", "Transfer-Encoding: chunked, chunked"), 501},
		{rawRequest("PUT", object, "hello", "Expect: a miracle"), 417},
		{"GET " + object + " HTTP/7.3\r\nHost: h\r\n\r\n", 505}, // RFC 9110, section 15.6.6
	} {
		a := roundTrip(t, s.URL, test.request)
		if a.Status != test.status || a.Err != nil {
			t.Errorf("%.100q: %d %s, %v; want %d", test.request, a.Status, a.Body, a.Err, test.status)
		}
	}
	if after := everything(t, s, endpoint); after != before {
		t.Errorf("something has changed:\n%s\nwas:\n%s", after, before)
	}
	wantWell(t, s)
}

// TestOldAndOddHTTP: what is unusual and right is answered.
func TestOldAndOddHTTP(t *testing.T) {
	s, endpoint := forBadInput(t)
	object := rawTarget(endpoint, "there.ts")
	auth := basic(accessKey, secretKey) + "\r\n"
	for name, request := range map[string]string{
		"HTTP/1.0 without Host": "GET " + object + " HTTP/1.0\r\n" + auth + "\r\n",
		"absolute form":         "GET http://elsewhere" + object + " HTTP/1.1\r\nHost: elsewhere\r\n" + auth + "\r\n",
		"lone line feeds":       "GET " + object + " HTTP/1.1\nHost: h\n" + strings.TrimSuffix(auth, "\r\n") + "\n\n",
		"an upgrade":            rawRequest("GET", object, "", "Upgrade: h2c", "Connection: Upgrade"),
		"a body on GET":         rawRequest("GET", object, "hello"),
		"an encoded path":       rawRequest("GET", strings.ReplaceAll(object, "there", "%74here"), ""),
		"a query":               rawRequest("GET", object+"?x=1", ""),
	} {
		roundTrip(t, s.URL, request).is(t, name, http.StatusOK, "0123456789")
	}
	// Two requests at once on one connection get two answers, in order.
	c := dial(t, s.URL)
	c.send(rawRequest("GET", object, "", "Range: bytes=0-3") + rawRequest("GET", object, "", "Range: bytes=4-"))
	c.answer("GET").is(t, "the first of two", http.StatusPartialContent, "0123")
	c.answer("GET").is(t, "the second of two", http.StatusPartialContent, "456789")
	wantWell(t, s)
}

// TestForgedSignatureWithABody: who knows an access key's ID and no secret signs
// with zeros and sends a body, so that the signature would have to wait for it.
// Only an upload waits; nothing else may take the caller for who it says.
func TestForgedSignatureWithABody(t *testing.T) {
	s, endpoint := forBadInput(t)
	now := time.Now().UTC()
	forged := "Authorization: AWS4-HMAC-SHA256 Credential=" + accessKey + "/" + now.Format("20060102") + "/" + region +
		"/mediastore/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)
	stamp := "X-Amz-Date: " + now.Format("20060102T150405Z")
	for _, target := range []struct{ method, path string }{
		{"GET", rawTarget(endpoint, "there.ts")},
		{"HEAD", rawTarget(endpoint, "there.ts")},
		{"DELETE", rawTarget(endpoint, "there.ts")},
		{"PUT", rawTarget(endpoint, "there.ts")},
		{"POST", rawTarget(endpoint, "there.ts")},
		{"GET", rawTarget(endpoint, "")},
		{"GET", "/-/metrics"},
		{"GET", "/-/events"},
	} {
		a := roundTrip(t, s.URL, rawRequest(target.method, target.path, "x", forged, stamp))
		if a.Status != http.StatusForbidden || strings.Contains(a.Body, "mediastore_") {
			t.Errorf("%s %s: %d %s", target.method, target.path, a.Status, a.Body)
		}
	}
	rawCall(t, "GET", endpoint, "there.ts", "").is(t, "the object after all that", http.StatusOK, "0123456789")
}
