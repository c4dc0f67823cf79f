package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/wiremodel"
)

// awsCLI is Debian's AWS CLI with one configuration.
type awsCLI struct {
	url string // of the control plane, and what the data planes' URLs begin with
	dir string // where it runs: its arguments may name files there
	env []string
}

// newCLI returns a CLI that talks to url. What is set overrides the harness's
// environment: name=value pairs.
func newCLI(t *testing.T, url string, set ...string) *awsCLI {
	t.Helper()
	c := &awsCLI{url: url, dir: t.TempDir(), env: append(clientEnv(url), set...)}
	writeFile(t, filepath.Join(c.dir, "body"), "body") // for put-object
	return c
}

// unvalidated is c with the client's own validation of parameters switched off,
// so that bad ones reach the server.
func (c *awsCLI) unvalidated(t *testing.T) *awsCLI {
	t.Helper()
	config := filepath.Join(c.dir, "unvalidated.ini")
	writeFile(t, config, "[default]\nparameter_validation = false\n")
	clone := *c
	clone.env = append(append([]string{}, c.env...), "AWS_CONFIG_FILE="+config)
	return &clone
}

func writeFile(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// errorPattern is how the CLI reports an error that the service answered.
var errorPattern = regexp.MustCompile(`An error occurred \((\w+)\) when calling the \w+ operation`)

// run runs a command on an endpoint. The code is that of the error which the
// service answered, empty when it answered success; any other failure, like one
// of the client's own validation, ends the test.
func (c *awsCLI) run(t *testing.T, endpoint string, args []string) (stdout, code string) {
	t.Helper()
	cmd := exec.Command("/usr/bin/aws", append(args, "--endpoint-url", endpoint, "--output", "json")...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var errText strings.Builder
	cmd.Stderr = &errText
	out, err := cmd.Output()
	if err == nil {
		return string(out), ""
	}
	m := errorPattern.FindStringSubmatch(errText.String())
	if m == nil {
		t.Fatalf("aws %q: %v\n%s%s", args, err, out, errText.String())
	}
	return string(out), m[1]
}

// control and data are the commands of the two planes.
func (c *awsCLI) control(args ...string) *command {
	return &command{c, c.url, append([]string{"mediastore"}, args...)}
}

func (c *awsCLI) data(endpoint string, args ...string) *command {
	return &command{c, endpoint, append([]string{"mediastore-data"}, args...)}
}

// command is one command line, ready to be run.
type command struct {
	cli      *awsCLI
	endpoint string
	args     []string
}

// ok runs the command and returns the object that it printed.
func (c *command) ok(t *testing.T) map[string]any {
	t.Helper()
	out, code := c.cli.run(t, c.endpoint, c.args)
	if code != "" {
		t.Fatalf("aws %q: %s", c.args, code)
	}
	var result map[string]any
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("aws %q printed %q: %v", c.args, out, err)
	}
	return result
}

// void runs a command that has nothing to print.
func (c *command) void(t *testing.T) {
	t.Helper()
	if out, code := c.cli.run(t, c.endpoint, c.args); code != "" || strings.TrimSpace(out) != "" {
		t.Fatalf("aws %q: error %q, output %q", c.args, code, out)
	}
}

// prints runs the command and holds what it printed against want.
func (c *command) prints(t *testing.T, want map[string]any) {
	t.Helper()
	if diff := cmp.Diff(want, c.ok(t)); diff != "" {
		t.Errorf("aws %q (-want +got):\n%s", c.args, diff)
	}
}

// fails runs a command that the service has to answer with an error.
func (c *command) fails(t *testing.T, want string) {
	t.Helper()
	if out, code := c.cli.run(t, c.endpoint, c.args); code != want {
		t.Errorf("aws %q: error %q, want %q; output %q", c.args, code, want, out)
	}
}

// jsonObject and jsonArray are JSON, for expectations.
type (
	jsonObject = map[string]any
	jsonArray  = []any
)

// TestAWSCLI carries out every operation of both planes and provokes every error
// that the models declare for it, and holds the server to both.
func TestAWSCLI(t *testing.T) {
	s := start(t, "--max-containers", "6")
	w := watch(t, s)
	c := newCLI(t, w.URL)
	endpoint := ""
	t.Run("container", func(t *testing.T) { endpoint = testCLIContainer(t, c) })
	if endpoint == "" {
		return
	}
	t.Run("operations", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){
			"tags":              func(t *testing.T) { testCLITags(t, c) },
			"access logging":    func(t *testing.T) { testCLIAccessLogging(t, c) },
			"container policy":  func(t *testing.T) { testCLIContainerPolicy(t, c) },
			"lifecycle policy":  func(t *testing.T) { testCLILifecyclePolicy(t, c) },
			"CORS policy":       func(t *testing.T) { testCLICorsPolicy(t, c) },
			"metric policy":     func(t *testing.T) { testCLIMetricPolicy(t, c) },
			"objects":           func(t *testing.T) { testCLIObjects(t, c, endpoint) },
			"paths":             func(t *testing.T) { testCLIPaths(t, c, endpoint) },
			"items":             func(t *testing.T) { testCLIItems(t, c, endpoint) },
			"missing container": func(t *testing.T) { testCLIMissingContainer(t, c) },
			"validation":        func(t *testing.T) { testCLIValidation(t, c.unvalidated(t), endpoint) },
			"credentials":       func(t *testing.T) { testCLICredentials(t, w.URL, endpoint) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // each command is a process that takes its time to start
				test(t)
			})
		}
	})
	t.Run("containers", func(t *testing.T) { testCLIContainers(t, c) })
	t.Run("deletion", func(t *testing.T) { testCLIDeletion(t, c, endpoint) })
	if t.Failed() {
		return // what was not seen would only say so again
	}
	w.wantSeen(everySuccess(w.control, w.data)...)
	w.wantSeen(everyError(w.control, w.data)...)
	w.wantSeen("GetObject 206", "CreateContainer SerializationException",
		"CreateContainer ValidationException", "PutObject ValidationException", "DescribeObject ValidationException",
		"ListContainers MissingAuthenticationTokenException", "GetObject AccessDeniedException", "DescribeObject AccessDeniedException",
		"ListContainers UnrecognizedClientException", "PutObject UnrecognizedClientException",
		"ListContainers InvalidSignatureException", "PutObject InvalidSignatureException")
}

// everySuccess lists the success of every operation.
func everySuccess(models ...*wiremodel.Model) []string {
	var all []string
	for _, m := range models {
		for _, op := range m.Operations() {
			all = append(all, op.Name+" 200")
		}
	}
	return all
}

// everyError lists all declared errors of all operations, but for those that
// cannot be provoked from outside.
func everyError(models ...*wiremodel.Model) []string {
	var all []string
	for _, m := range models {
		for _, op := range m.Operations() {
			for _, e := range op.Errors {
				if !unprovoked(op.Name, e.Code) {
					all = append(all, op.Name+" "+e.Code)
				}
			}
		}
	}
	return all
}

// unprovoked are the declared errors that no client can bring about at will.
func unprovoked(operation, code string) bool {
	switch code {
	case "InternalServerError":
		return true // only a defect or a broken disk has it
	case "ContainerInUseException":
		// Creating what exists and deleting what holds objects has it every time. The
		// others have it while a container is CREATING or DELETING, which is over
		// before a client can ask: unit tests of the service cover that.
		return operation != "CreateContainer" && operation != "DeleteContainer"
	}
	return false
}

const cliContainer = "movies"

func containerARN(name string) string {
	return "arn:aws:mediastore:" + region + ":" + account + ":container/" + name
}

// testCLIContainer makes the container that the other tests use and returns its
// endpoint.
func testCLIContainer(t *testing.T, c *awsCLI) string {
	before := time.Now().Truncate(time.Millisecond)
	created := c.control("create-container", "--container-name", cliContainer, "--tags", "Key=customer,Value=CompanyA", "Key=priority,Value=High").ok(t)
	made := takeTime(t, created["Container"].(jsonObject), "CreationTime")
	if made.Before(before) || made.After(time.Now()) {
		t.Errorf("CreationTime is %v, and it was made between %v and now", made, before)
	}
	want := jsonObject{"Container": jsonObject{"ARN": containerARN(cliContainer), "Name": cliContainer, "Status": "CREATING", "AccessLoggingEnabled": false}}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Errorf("create-container (-want +got):\n%s", diff)
	}
	found := activeContainer(t, c, cliContainer)
	if at := takeTime(t, found, "CreationTime"); !at.Equal(made) {
		t.Errorf("CreationTime was %v and is %v", made, at)
	}
	endpoint, _ := found["Endpoint"].(string)
	if !regexp.MustCompile("^" + regexp.QuoteMeta(c.url) + "/[a-z0-9]{14}$").MatchString(endpoint) {
		t.Fatalf("the endpoint is %q", endpoint)
	}
	want = jsonObject{"ARN": containerARN(cliContainer), "Name": cliContainer, "Status": "ACTIVE", "AccessLoggingEnabled": false, "Endpoint": endpoint}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("describe-container (-want +got):\n%s", diff)
	}
	c.control("create-container", "--container-name", cliContainer).fails(t, "ContainerInUseException")
	return endpoint
}

// activeContainer describes a container until it is ACTIVE.
func activeContainer(t *testing.T, c *awsCLI, name string) (found map[string]any) {
	t.Helper()
	eventually(t, "the container is ACTIVE", func() bool {
		found = c.control("describe-container", "--container-name", name).ok(t)["Container"].(jsonObject)
		return found["Status"] == "ACTIVE"
	})
	return found
}

// takeTime takes a timestamp, which the CLI prints in ISO 8601, out of an
// object.
func takeTime(t *testing.T, from map[string]any, member string) time.Time {
	t.Helper()
	text, _ := from[member].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Errorf("%s: %v", member, err)
	}
	delete(from, member)
	return at
}

// takeLength takes the content length out of an object. This CLI prints numbers
// that came in a header as strings, later ones as numbers.
func takeLength(t *testing.T, from map[string]any, want int) {
	t.Helper()
	if got := from["ContentLength"]; fmt.Sprint(got) != strconv.Itoa(want) {
		t.Errorf("ContentLength is %v, want %d", got, want)
	}
	delete(from, "ContentLength")
}

func testCLITags(t *testing.T, c *awsCLI) {
	resource := []string{"--resource", containerARN(cliContainer)}
	tags := func(pairs ...string) jsonObject {
		var list jsonArray
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, jsonObject{"Key": pairs[i], "Value": pairs[i+1]})
		}
		return jsonObject{"Tags": list}
	}
	list := c.control(append([]string{"list-tags-for-resource"}, resource...)...)
	list.prints(t, tags("customer", "CompanyA", "priority", "High"))
	c.control(append([]string{"tag-resource", "--tags", "Key=priority,Value=Medium", "Key=type,Value=Contract"}, resource...)...).void(t)
	list.prints(t, tags("customer", "CompanyA", "priority", "Medium", "type", "Contract"))
	c.control(append([]string{"tag-resource", "--tags", `[{"Key":"note"}]`}, resource...)...).void(t)
	list.prints(t, tags("customer", "CompanyA", "note", "", "priority", "Medium", "type", "Contract"))
	c.control(append([]string{"untag-resource", "--tag-keys", "customer", "note", "never"}, resource...)...).void(t)
	list.prints(t, tags("priority", "Medium", "type", "Contract"))
	c.control(append([]string{"untag-resource", "--tag-keys", "priority", "type"}, resource...)...).void(t)
	list.void(t)
	c.control(append([]string{"tag-resource", "--tags", "Key=aws:mine,Value=1"}, resource...)...).fails(t, "ValidationException")
}

func testCLIAccessLogging(t *testing.T, c *awsCLI) {
	for _, step := range []struct {
		command string
		want    bool
	}{{"start-access-logging", true}, {"start-access-logging", true}, {"stop-access-logging", false}, {"stop-access-logging", false}} {
		c.control(step.command, "--container-name", cliContainer).void(t)
		if got := activeContainer(t, c, cliContainer)["AccessLoggingEnabled"]; got != step.want {
			t.Errorf("after %s AccessLoggingEnabled is %v", step.command, got)
		}
	}
}

// policyCommands are the three commands of one of the documents.
type policyCommands struct {
	cli  *awsCLI
	noun string // "lifecycle-policy"
}

func (p policyCommands) get() *command    { return p.command("get") }
func (p policyCommands) delete() *command { return p.command("delete") }
func (p policyCommands) put(doc string) *command {
	option := "--" + p.noun
	if p.noun == "container-policy" {
		option = "--policy"
	}
	return p.command("put", option, doc)
}

func (p policyCommands) command(verb string, more ...string) *command {
	return p.cli.control(append([]string{verb + "-" + p.noun, "--container-name", cliContainer}, more...)...)
}

// absent checks what is answered where there is no document, and leaves none.
func (p policyCommands) absent(t *testing.T, code string) {
	t.Helper()
	p.get().fails(t, code)
	p.delete().fails(t, code)
}

func testCLIContainerPolicy(t *testing.T, c *awsCLI) {
	p := policyCommands{c, "container-policy"}
	var fresh jsonObject
	if err := json.Unmarshal([]byte(p.get().ok(t)["Policy"].(string)), &fresh); err != nil {
		t.Fatal(err)
	}
	statement := fresh["Statement"].(jsonArray)[0].(jsonObject)
	delete(statement, "Sid")
	want := jsonObject{"Version": "2012-10-17", "Statement": jsonArray{jsonObject{
		"Effect": "Allow", "Principal": jsonObject{"AWS": "arn:aws:iam::" + account + ":root"}, "Action": "mediastore:*",
		"Resource": containerARN(cliContainer) + "/*", "Condition": jsonObject{"Bool": jsonObject{"aws:SecureTransport": "true"}},
	}}}
	if diff := cmp.Diff(want, fresh); diff != "" {
		t.Errorf("a new container's policy (-want +got):\n%s", diff)
	}
	for _, doc := range []string{
		`{"Version":"2012-10-17","Statement":[{"Sid":"First","Effect":"Allow","Principal":"*","Action":"mediastore:Get*","Resource":"` + containerARN(cliContainer) + `/none/*"}]}`,
		"{ \"Version\" : \"2012-10-17\",\n\t\"Statement\" : {\"Effect\":\"Allow\", \"Principal\":{\"AWS\":\"*\"}, \"Action\":[\"mediastore:GetObject\"],\n\"Resource\":\"" + containerARN(cliContainer) + "/none/a\\u003Cb\"}}",
	} {
		p.put(doc).void(t)
		p.get().prints(t, jsonObject{"Policy": doc}) // byte for byte
	}
	p.put(`{"Version":"2012-10-17"}`).fails(t, "ValidationException")
	p.delete().void(t)
	p.absent(t, "PolicyNotFoundException")
}

func testCLILifecyclePolicy(t *testing.T, c *awsCLI) {
	p := policyCommands{c, "lifecycle-policy"}
	p.absent(t, "PolicyNotFoundException")
	for _, doc := range []string{
		`{"rules":[{"definition":{"path":[{"prefix":"old/"}],"days_since_create":[{"numeric":[">",30]}]},"action":"EXPIRE"}]}`,
		"{\n  \"rules\": [ {\"definition\": {\"path\": [ {\"wildcard\": \"live/*.m3u8\"} ],\n \"seconds_since_create\": [ {\"numeric\": [ \">\", 300 ]} ]}, \"action\": \"EXPIRE\"} ]\n}",
	} {
		p.put(doc).void(t)
		p.get().prints(t, jsonObject{"LifecyclePolicy": doc})
	}
	p.put(`{"rules":[]}`).fails(t, "ValidationException")
	p.delete().void(t)
	p.absent(t, "PolicyNotFoundException")
}

func testCLICorsPolicy(t *testing.T, c *awsCLI) {
	p := policyCommands{c, "cors-policy"}
	p.absent(t, "CorsPolicyNotFoundException")
	rules := jsonArray{
		jsonObject{
			"AllowedOrigins": jsonArray{"https://a.example.com", "http://*.example.org:8080"}, "AllowedMethods": jsonArray{"GET", "HEAD"},
			"AllowedHeaders": jsonArray{"Range", "x-*"}, "MaxAgeSeconds": 3000., "ExposeHeaders": jsonArray{"Content-Range", "ETag"},
		},
		jsonObject{"AllowedOrigins": jsonArray{"*"}, "AllowedMethods": jsonArray{"PUT", "DELETE"}, "AllowedHeaders": jsonArray{"*"}, "MaxAgeSeconds": 0.},
		jsonObject{"AllowedOrigins": jsonArray{"*"}, "AllowedMethods": jsonArray{"GET"}, "AllowedHeaders": jsonArray{}},
	}
	doc, err := json.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	p.put(string(doc)).void(t)
	p.get().prints(t, jsonObject{"CorsPolicy": rules})
	p.put(`[{"AllowedOrigins":["*"],"AllowedMethods":["PATCH"],"AllowedHeaders":["*"]}]`).fails(t, "ValidationException")
	p.delete().void(t)
	p.absent(t, "CorsPolicyNotFoundException")
}

func testCLIMetricPolicy(t *testing.T, c *awsCLI) {
	p := policyCommands{c, "metric-policy"}
	p.absent(t, "PolicyNotFoundException")
	for _, policy := range []jsonObject{
		{"ContainerLevelMetrics": "DISABLED"},
		{"ContainerLevelMetrics": "ENABLED", "MetricPolicyRules": jsonArray{
			jsonObject{"ObjectGroup": "baseball/saturday", "ObjectGroupName": "baseballGroup"},
			jsonObject{"ObjectGroup": "/a=1/b:2/*~c.ts", "ObjectGroupName": "group_2"},
		}},
	} {
		doc, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		p.put(string(doc)).void(t)
		p.get().prints(t, jsonObject{"MetricPolicy": policy})
	}
	p.put(`{"ContainerLevelMetrics":"SOMETIMES"}`).fails(t, "ValidationException")
	p.delete().void(t)
	p.absent(t, "PolicyNotFoundException")
}

func testCLIObjects(t *testing.T, c *awsCLI, endpoint string) {
	const body, path = "a segment, or what passes for one", "live/one.ts"
	writeFile(t, filepath.Join(c.dir, "segment"), body)
	on := func(verb string, more ...string) *command {
		return c.data(endpoint, append([]string{verb + "-object", "--path", path}, more...)...)
	}
	for _, command := range []*command{on("get", "none"), on("describe"), on("delete")} {
		command.fails(t, "ObjectNotFoundException")
	}
	first := cliPut(t, on("put", "--body", "segment", "--content-type", "video/mp2t"), body)
	second := cliPut(t, on("put", "--body", "segment", "--content-type", "video/mp2t", "--cache-control", "max-age=6, s-maxage=9",
		"--storage-class", "TEMPORAL", "--upload-availability", "STREAMING"), body)
	if first == second {
		t.Errorf("two versions have the ETag %s", first)
	}
	testCLIGet(t, c, on("get", "segment.whole"), "segment.whole", body, second, "")
	for spec, part := range map[string]string{"bytes=2-8": body[2:9], "bytes=2-": body[2:], "bytes=-3": body[len(body)-3:]} {
		at := strings.Index(body, part)
		contentRange := fmt.Sprintf("bytes %d-%d/%d", at, at+len(part)-1, len(body))
		testCLIGet(t, c, on("get", "segment.part", "--range", spec), "segment.part", part, second, contentRange)
	}
	on("get", "none", "--range", "bytes=1000-").fails(t, "RequestedRangeNotSatisfiableException")
	described := on("describe").ok(t)
	takeTime(t, described, "LastModified")
	takeLength(t, described, len(body))
	want := jsonObject{"ETag": second, "ContentType": "video/mp2t", "CacheControl": "max-age=6, s-maxage=9"}
	if diff := cmp.Diff(want, described); diff != "" {
		t.Errorf("describe-object (-want +got):\n%s", diff)
	}
	on("delete").void(t)
	on("describe").fails(t, "ObjectNotFoundException")
}

var etagForm = regexp.MustCompile(`^[0-9a-f]{1,64}$`)

// cliPut runs a put-object whose body is known and returns the new ETag.
func cliPut(t *testing.T, c *command, body string) string {
	t.Helper()
	got := c.ok(t)
	etag, _ := got["ETag"].(string)
	if !etagForm.MatchString(etag) {
		t.Errorf("put-object: the ETag is %q", etag)
	}
	sum := sha256.Sum256([]byte(body))
	want := jsonObject{"ContentSHA256": hex.EncodeToString(sum[:]), "ETag": etag, "StorageClass": "TEMPORAL"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("put-object (-want +got):\n%s", diff)
	}
	return etag
}

// testCLIGet gets the object of testCLIObjects, or a part of it, into a file.
func testCLIGet(t *testing.T, c *awsCLI, get *command, file, body, etag, contentRange string) {
	t.Helper()
	got := get.ok(t)
	modified := takeTime(t, got, "LastModified")
	if modified.After(time.Now()) || modified.Before(time.Now().Add(-time.Hour)) {
		t.Errorf("LastModified is %v", modified)
	}
	takeLength(t, got, len(body))
	want := jsonObject{"ETag": etag, "ContentType": "video/mp2t", "CacheControl": "max-age=6, s-maxage=9", "StatusCode": 200.}
	if contentRange != "" {
		want["StatusCode"], want["ContentRange"] = 206., contentRange
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("aws %q (-want +got):\n%s", get.args, diff)
	}
	bytes, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil || string(bytes) != body {
		t.Errorf("aws %q wrote %q, %v; want %q", get.args, bytes, err, body)
	}
}

// testCLIPaths writes under one spelling of a path and reads under another: the
// client percent-encodes some characters, and a leading slash means nothing.
func testCLIPaths(t *testing.T, c *awsCLI, endpoint string) {
	path := "a=1/b:2/-c~d_.ts"
	etag := cliPut(t, c.data(endpoint, "put-object", "--path", "/"+path, "--body", "body"), "body")
	for _, spelling := range []string{path, "/" + path} {
		if got := c.data(endpoint, "describe-object", "--path", spelling).ok(t)["ETag"]; got != etag {
			t.Errorf("%s has the ETag %v, want %s", spelling, got, etag)
		}
	}
	items := c.data(endpoint, "list-items", "--path", "/a=1/b:2").ok(t)["Items"].(jsonArray)
	if len(items) != 1 || items[0].(jsonObject)["Name"] != "-c~d_.ts" {
		t.Errorf("the folder has %v", items)
	}
	c.data(endpoint, "delete-object", "--path", "/"+path).void(t)
}

func testCLIItems(t *testing.T, c *awsCLI, endpoint string) {
	etags := map[string]string{}
	for _, path := range []string{"list/a.m3u8", "list/b.ts", "list/c/x.ts", "list/d/y.ts", "list/e.ts"} {
		etags[path] = cliPut(t, c.data(endpoint, "put-object", "--path", path, "--body", "body", "--content-type", "video/mp2t"), "body")
	}
	list := func(more ...string) *command {
		return c.data(endpoint, append([]string{"list-items"}, more...)...)
	}
	root, _ := list().ok(t)["Items"].(jsonArray)
	if !slices.ContainsFunc(root, func(v any) bool { return cmp.Equal(v, jsonObject{"Name": "list", "Type": "FOLDER"}) }) {
		t.Errorf("the root has no folder called list: %v", root)
	}
	var whole jsonArray
	for _, name := range []string{"a.m3u8", "b.ts", "c", "d", "e.ts"} {
		item := jsonObject{"Name": name, "Type": "FOLDER"}
		if etag, ok := etags["list/"+name]; ok {
			item = jsonObject{"Name": name, "Type": "OBJECT", "ETag": etag, "ContentType": "video/mp2t", "ContentLength": 4.}
		}
		whole = append(whole, item)
	}
	for _, spelling := range []string{"list", "/list", "list/"} {
		checkItems(t, list("--path", spelling).ok(t), whole)
	}
	checkItems(t, list("--path", "list", "--page-size", "2").ok(t), whole)
	first := list("--path", "list", "--page-size", "2", "--max-items", "3").ok(t)
	token, _ := first["NextToken"].(string)
	delete(first, "NextToken")
	checkItems(t, first, whole[:3])
	checkItems(t, list("--path", "list", "--starting-token", token).ok(t), whole[3:])
	page := list("--path", "list", "--max-results", "4").ok(t) // without the CLI's own pagination
	if page["NextToken"] == nil {
		t.Error("the first four items of five come without a NextToken")
	}
	list("--path", "nowhere").prints(t, jsonObject{"Items": jsonArray{}})
	for path := range etags {
		c.data(endpoint, "delete-object", "--path", path).void(t)
	}
	list("--path", "list").prints(t, jsonObject{"Items": jsonArray{}})
}

// checkItems compares a list with what it should be, its times left out.
func checkItems(t *testing.T, got map[string]any, want []any) {
	t.Helper()
	items, _ := got["Items"].(jsonArray)
	for _, item := range items {
		if item.(jsonObject)["Type"] == "OBJECT" {
			takeTime(t, item.(jsonObject), "LastModified")
		}
	}
	if diff := cmp.Diff(jsonObject{"Items": want}, got); diff != "" {
		t.Errorf("list-items (-want +got):\n%s", diff)
	}
}

// testCLIMissingContainer asks every operation that is about a container for one
// that does not exist.
func testCLIMissingContainer(t *testing.T, c *awsCLI) {
	rule := `{"rules":[{"definition":{"path":[{"prefix":""}],"days_since_create":[{"numeric":[">",1]}]},"action":"EXPIRE"}]}`
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"` + containerARN("missing") + `/*"}]}`
	named := [][]string{
		{"describe-container"}, {"delete-container"}, {"start-access-logging"}, {"stop-access-logging"},
		{"get-container-policy"}, {"delete-container-policy"}, {"put-container-policy", "--policy", policy},
		{"get-cors-policy"}, {"delete-cors-policy"}, {"put-cors-policy", "--cors-policy", `[{"AllowedOrigins":["*"],"AllowedMethods":["GET"],"AllowedHeaders":["*"]}]`},
		{"get-lifecycle-policy"}, {"delete-lifecycle-policy"}, {"put-lifecycle-policy", "--lifecycle-policy", rule},
		{"get-metric-policy"}, {"delete-metric-policy"}, {"put-metric-policy", "--metric-policy", "ContainerLevelMetrics=ENABLED"},
	}
	var commands []*command
	for _, args := range named {
		commands = append(commands, c.control(append(args, "--container-name", "missing")...))
	}
	for _, args := range [][]string{{"list-tags-for-resource"}, {"tag-resource", "--tags", "Key=a,Value=b"}, {"untag-resource", "--tag-keys", "a"}} {
		commands = append(commands, c.control(append(args, "--resource", containerARN("missing"))...))
	}
	for _, args := range [][]string{
		{"list-items"}, {"get-object", "--path", "a", "none"}, {"describe-object", "--path", "a"},
		{"delete-object", "--path", "a"}, {"put-object", "--path", "a", "--body", "body"},
	} {
		commands = append(commands, c.data(c.url+"/missing0000000", args...))
	}
	for _, command := range commands {
		t.Run(command.args[1], func(t *testing.T) {
			t.Parallel()
			command.fails(t, "ContainerNotFoundException")
		})
	}
}

// testCLIValidation sends what the client's own validation would have held back,
// and what it does not look at.
func testCLIValidation(t *testing.T, c *awsCLI, endpoint string) {
	for _, test := range []struct {
		command *command
		code    string
	}{
		{c.control("create-container", "--container-name", ""), "ValidationException"},
		{c.control("create-container", "--container-name", "not a name"), "ValidationException"},
		{c.control("create-container", "--container-name", strings.Repeat("n", 256)), "ValidationException"},
		{c.control("create-container", "--cli-input-json", `{"ContainerName":"n","Tags":[]}`), "ValidationException"},
		{c.control("create-container", "--cli-input-json", `{"ContainerName":12}`), "SerializationException"},
		{c.control("describe-container"), "ValidationException"},
		{c.control("list-containers", "--max-results", "0"), "ValidationException"},
		{c.control("list-containers", "--max-results", "101"), "ValidationException"},
		{c.control("list-containers", "--max-results", "1", "--next-token", "bm90IGEgdG9rZW4="), "ValidationException"},
		{c.control("list-tags-for-resource", "--resource", "arn:aws:s3:::bucket"), "ValidationException"},
		{c.control("put-container-policy", "--container-name", cliContainer, "--policy", ""), "ValidationException"},
		{c.control("put-lifecycle-policy", "--container-name", cliContainer, "--lifecycle-policy", "{}"), "ValidationException"},
		{c.data(endpoint, "put-object", "--path", "two words", "--body", "body"), "ValidationException"},
		{c.data(endpoint, "put-object", "--path", "a", "--body", "body", "--storage-class", "GLACIER"), "ValidationException"},
		{c.data(endpoint, "put-object", "--path", "a", "--body", "body", "--upload-availability", "SOON"), "ValidationException"},
		{c.data(endpoint, "put-object", "--path", "a", "--body", "body", "--content-type", "not/a type"), "ValidationException"},
		{c.data(endpoint, "describe-object", "--path", "a//b"), "ValidationException"},
		{c.data(endpoint, "list-items", "--path", "two words"), "ValidationException"},
		{c.data(endpoint, "list-items", "--max-results", "0"), "ValidationException"},
	} {
		t.Run(strings.Join(test.command.args[1:], " "), func(t *testing.T) {
			t.Parallel()
			test.command.fails(t, test.code)
		})
	}
}

// testCLICredentials asks both planes with none and with wrong credentials.
func testCLICredentials(t *testing.T, url, endpoint string) {
	right := newCLI(t, url)
	unknown := newCLI(t, url, "AWS_ACCESS_KEY_ID=AKIDNOBODYKNOWSTHIS")
	wrong := newCLI(t, url, "AWS_SECRET_ACCESS_KEY=not-the-secret-at-all")
	session := newCLI(t, url, "AWS_SESSION_TOKEN=never-issued")
	putObject := []string{"put-object", "--path", "a", "--body", "body"}
	for _, test := range []struct {
		command *command
		code    string
	}{
		{right.control("list-containers", "--no-sign-request"), "MissingAuthenticationTokenException"},
		{right.data(endpoint, "get-object", "--path", "a", "--no-sign-request", "none"), "AccessDeniedException"},
		{right.data(endpoint, "describe-object", "--path", "a", "--no-sign-request"), "AccessDeniedException"},
		{right.control("list-containers", "--region", "eu-west-1"), "InvalidSignatureException"},
		{unknown.control("list-containers"), "UnrecognizedClientException"},
		{unknown.data(endpoint, putObject...), "UnrecognizedClientException"},
		{wrong.control("list-containers"), "InvalidSignatureException"},
		{wrong.data(endpoint, putObject...), "InvalidSignatureException"},
		{session.control("list-containers"), "UnrecognizedClientException"},
	} {
		test.command.fails(t, test.code)
	}
}

// testCLIContainers lists containers and makes as many as there may be.
func testCLIContainers(t *testing.T, c *awsCLI) {
	names := []string{cliContainer, "n1", "n2", "n3", "n4", "n5"}
	for _, name := range names[1:] {
		c.control("create-container", "--container-name", name).ok(t)
	}
	c.control("create-container", "--container-name", "n6").fails(t, "LimitExceededException")
	list := func(more ...string) map[string]any {
		t.Helper()
		return c.control(append([]string{"list-containers"}, more...)...).ok(t)
	}
	checkNames(t, list(), names, false)
	checkNames(t, list("--page-size", "2"), names, false)
	checkNames(t, list("--max-results", "6"), names, false)
	checkNames(t, list("--max-results", "5"), names[:5], true)
	first := list("--page-size", "2", "--max-items", "3")
	checkNames(t, first, names[:3], true)
	token, _ := first["NextToken"].(string)
	checkNames(t, list("--page-size", "2", "--starting-token", token), names[3:], false)
}

// checkNames compares the names and ARNs in a list of containers.
func checkNames(t *testing.T, got map[string]any, want []string, more bool) {
	t.Helper()
	var names []string
	list, _ := got["Containers"].(jsonArray)
	for _, v := range list {
		name, _ := v.(jsonObject)["Name"].(string)
		if v.(jsonObject)["ARN"] != containerARN(name) {
			t.Errorf("%s has the ARN %v", name, v.(jsonObject)["ARN"])
		}
		names = append(names, name)
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("list-containers (-want +got):\n%s", diff)
	}
	if _, has := got["NextToken"]; has != more {
		t.Errorf("NextToken is there: %v, want %v", has, more)
	}
}

// testCLIDeletion deletes the container, which has to be empty.
func testCLIDeletion(t *testing.T, c *awsCLI, endpoint string) {
	remove := c.control("delete-container", "--container-name", cliContainer)
	cliPut(t, c.data(endpoint, "put-object", "--path", "last/one", "--body", "body"), "body")
	remove.fails(t, "ContainerInUseException")
	c.data(endpoint, "delete-object", "--path", "last/one").void(t)
	remove.void(t)
	describe := c.control("describe-container", "--container-name", cliContainer)
	eventually(t, "the container is gone", func() bool {
		_, code := c.run(t, describe.endpoint, describe.args)
		return code == "ContainerNotFoundException"
	})
	c.data(endpoint, "list-items").fails(t, "ContainerNotFoundException")
}
