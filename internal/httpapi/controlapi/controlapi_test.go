package controlapi_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/access"
	"headwater/internal/containers"
	"headwater/internal/engine/memory"
	"headwater/internal/event"
	"headwater/internal/httpapi"
	"headwater/internal/httpapi/controlapi"
	"headwater/internal/mediastore"
	"headwater/internal/wiremodel"
)

const (
	account = "111122223333"
	region  = "us-west-2"
	prefix  = "MediaStore_20170901."
	arn     = "arn:aws:mediastore:us-west-2:111122223333:container/"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)

// server is the edge over the real services and the memory engine.
type server struct {
	t      *testing.T
	url    string
	engine *memory.Engine
	model  *wiremodel.Model
	audit  chan event.Call // what was told of, in order
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, engine: memory.New(), model: wiremodel.ControlPlane(), audit: make(chan event.Call, 10_000)}
	t.Cleanup(func() { s.engine.Close() })
	clock := func() time.Time { return epoch }
	var ids atomic.Int64
	service := containers.New(containers.Config{
		Engine: s.engine, Region: region, Now: clock, Log: slog.New(slog.DiscardHandler),
		Quotas: containers.Quotas{Containers: 1000, MetricRules: 5},
		NewID:  func() mediastore.ContainerID { return mediastore.ContainerID(fmt.Sprintf("new%011d", ids.Add(1))) },
	})
	t.Cleanup(func() { service.Close() })
	api := &controlapi.API{
		Model:      s.model,
		Access:     access.New(access.Config{Account: account, Region: region, Root: access.Key{ID: "AKIDROOT", Secret: "secret"}, Now: clock}),
		Containers: service,
		Endpoint: func(_ *http.Request, _ httpapi.Client, id mediastore.ContainerID) string {
			return "http://data.example.com/" + string(id)
		},
		Audit: func(c *event.Call) { s.audit <- *c },
	}
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	front := httptest.NewServer(adapter.Wrap("control", api.Handle, controlapi.WriteError))
	t.Cleanup(front.Close)
	s.url = front.URL
	return s
}

// store puts a container into the engine.
func (s *server) store(name mediastore.ContainerName, status mediastore.Status) {
	s.t.Helper()
	err := s.engine.CreateContainer(s.t.Context(), mediastore.Container{
		Account: account, Region: region, Name: name, ID: mediastore.ContainerID(fmt.Sprintf("%014s", name)), Status: status, CreatedAt: epoch,
	}, 0)
	if err != nil {
		s.t.Fatal(err)
	}
}

// kept returns a container as the engine has it.
func (s *server) kept(name mediastore.ContainerName) mediastore.Container {
	s.t.Helper()
	c, err := s.engine.Container(s.t.Context(), account, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func asRoot(r *http.Request) { r.SetBasicAuth("AKIDROOT", "secret") }

// answer is what came back. Code and message are those of an error.
type answer struct {
	status        int
	code, message string
	body          string
	header        http.Header
}

// post sends a request and checks what every answer has to have.
func (s *server) post(target string, body io.Reader, change func(*http.Request)) answer {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.url+"/", body)
	if err != nil {
		s.t.Fatal(err)
	}
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	change(r)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, body: string(b), header: res.Header}
	if got := a.header.Get("Content-Type"); got != "application/x-amz-json-1.1" || a.header.Get("x-amzn-RequestId") == "" {
		s.t.Errorf("%s: Content-Type %q, x-amzn-RequestId %q", target, got, a.header.Get("x-amzn-RequestId"))
	}
	if a.status != http.StatusOK {
		s.readError(&a)
	}
	return a
}

// readError reads an error and makes sure that header and body agree on it.
func (s *server) readError(a *answer) {
	s.t.Helper()
	var e struct {
		Type    string `json:"__type"`
		Message string
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		s.t.Fatalf("%v in %s", err, a.body)
	}
	a.code, a.message = e.Type, e.Message
	if a.code == "" || a.code != a.header.Get("x-amzn-ErrorType") || a.message == "" || len(a.message) > 255 {
		s.t.Errorf("x-amzn-ErrorType %q with the body %s", a.header.Get("x-amzn-ErrorType"), a.body)
	}
}

// common are errors that the model does not declare and every operation may
// answer.
var common = map[string]bool{"ValidationException": true, "SerializationException": true, "ServiceUnavailableException": true}

// call runs an operation as root and holds the answer against the model.
func (s *server) call(operation, input string) answer {
	s.t.Helper()
	a := s.post(prefix+operation, strings.NewReader(input), asRoot)
	op := s.model.Operation(operation)
	check := func() error { return op.CheckOutput(a.status, a.header, []byte(a.body)) }
	if a.status != http.StatusOK {
		check = func() error { return op.CheckError(a.status, a.header, []byte(a.body), common) }
	}
	if err := check(); err != nil {
		s.t.Errorf("%s %s: %s: %v", operation, input, a.body, err)
	}
	return a
}

// must runs an operation that has to succeed and decodes what it answers.
func (s *server) must(operation, input string, out any) {
	s.t.Helper()
	a := s.call(operation, input)
	if a.status != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", operation, input, a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), out); err != nil {
		s.t.Fatal(err)
	}
}

// refused runs an operation that has to fail.
func (s *server) refused(operation, input, code, message string) {
	s.t.Helper()
	if a := s.call(operation, input); a.status != http.StatusBadRequest || a.code != code || !strings.Contains(a.message, message) {
		s.t.Errorf("%s %.200s: %d %s %q; want 400 %s %q", operation, input, a.status, a.code, a.message, code, message)
	}
}

func TestTarget(t *testing.T) {
	s := serve(t)
	for _, target := range []string{
		"", prefix, prefix + "NoSuchOperation", prefix + "listContainers", "ListContainers",
		"MediaStore_20180901.ListContainers", "mediastore_20170901.ListContainers", prefix + "ListContainers ."} {
		a := s.post(target, strings.NewReader("{}"), asRoot)
		if a.status != http.StatusBadRequest || a.code != "UnknownOperationException" || !strings.Contains(a.message, "X-Amz-Target") {
			t.Errorf("target %q: %d %s %s", target, a.status, a.code, a.message)
		}
	}
}

func TestAuthentication(t *testing.T) {
	s := serve(t)
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		code   string // empty: accepted
	}{
		{"root", asRoot, ""},
		{"anonymous", func(*http.Request) {}, "MissingAuthenticationTokenException"},
		{"unknown key", func(r *http.Request) { r.SetBasicAuth("AKIDOTHER", "secret") }, "UnrecognizedClientException"},
		{"wrong secret", func(r *http.Request) { r.SetBasicAuth("AKIDROOT", "guess") }, "InvalidSignatureException"},
		{"another scheme", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, "IncompleteSignatureException"},
	} {
		a := s.post(prefix+"ListContainers", strings.NewReader("{}"), test.change)
		if a.code != test.code || test.code != "" && a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s %s; want %s", test.name, a.status, a.code, a.message, test.code)
		}
	}
}

func TestSerialization(t *testing.T) {
	s := serve(t)
	for _, test := range []struct{ operation, body, message string }{
		{"ListContainers", "garbage", "The body is not JSON"},
		{"ListContainers", "{", "The body is not JSON"},
		{"ListContainers", `{"MaxResults":}`, "The body is not JSON"},
		{"ListContainers", "[]", "The body must be a JSON object"},
		{"ListContainers", `"{}"`, "The body must be a JSON object"},
		{"ListContainers", "1", "The body must be a JSON object"},
		{"ListContainers", "null", "The body must be a JSON object"},
		{"ListContainers", "{} {}", "more after the JSON object"},
		{"ListContainers", "{}x", "more after the JSON object"},
		{"ListContainers", "{}]", "more after the JSON object"},
		{"ListContainers", `{"x":` + strings.Repeat("[", 100_000), "The body is not JSON"},
		{"CreateContainer", `{"ContainerName":5}`, "Value at 'containerName' must be a string and is the number 5"},
		{"CreateContainer", `{"ContainerName":["a"]}`, "Value at 'containerName' must be a string and is a list"},
		{"CreateContainer", `{"ContainerName":"a","Tags":{}}`, "Value at 'tags' must be a list and is an object"},
		{"CreateContainer", `{"ContainerName":"a","Tags":["x"]}`, "Value at 'tags.1.member' must be an object and is a string"},
		{"CreateContainer", `{"ContainerName":"a","Tags":[{"Key":"k","Value":true}]}`, "Value at 'tags.1.member.value' must be a string and is a boolean"},
		{"ListContainers", `{"MaxResults":"5"}`, "Value at 'maxResults' must be an integer and is a string"},
		{"ListContainers", `{"MaxResults":1.5}`, "Value at 'maxResults' must be an integer and is the number 1.5"},
		{"ListContainers", `{"MaxResults":99999999999999999999}`, "Value at 'maxResults' must be an integer"},
		{"PutContainerPolicy", `{"ContainerName":"a","Policy":{"Version":"2012-10-17"}}`, "Value at 'policy' must be a string and is an object"},
		{"PutCorsPolicy", `{"ContainerName":"a","CorsPolicy":"[]"}`, "Value at 'corsPolicy' must be a list and is a string"},
	} {
		s.refused(test.operation, test.body, "SerializationException", test.message)
	}
	for _, body := range []string{"", " \n", "{}", " {} \n", `{"MaxResults":null,"Unknown":[1]}`} {
		if a := s.call("ListContainers", body); a.status != http.StatusOK {
			t.Errorf("body %q: %s", body, a.body)
		}
	}
}

// TestBodyBreaksOff: what arrived of a request is not taken for all of it.
func TestBodyBreaksOff(t *testing.T) {
	s := serve(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: %sCreateContainer\r\nContent-Length: 99\r\n\r\n{}", prefix)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.Contains(string(answer), "SerializationException") {
		t.Errorf("%s, %v", answer, err)
	}
}

func TestBodyLimit(t *testing.T) {
	s := serve(t)
	const limit = 3 << 20
	pad := func(n int) string { return "{}" + strings.Repeat(" ", n-len("{}")) }
	if a := s.call("ListContainers", pad(limit)); a.status != http.StatusOK {
		t.Errorf("a body of %d bytes: %s", limit, a.body)
	}
	s.refused("ListContainers", pad(limit+1), "ValidationException", "more than 3145728 bytes")
	chunked := io.MultiReader(strings.NewReader(pad(limit)), strings.NewReader(" "))
	if a := s.post(prefix+"ListContainers", chunked, asRoot); a.code != "ValidationException" {
		t.Errorf("a body whose length is not declared: %d %s", a.status, a.body)
	}
}

func TestValidation(t *testing.T) {
	s := serve(t)
	s.store("movies", mediastore.StatusActive)
	const one = "1 validation error detected: "
	for _, test := range []struct{ operation, input, message string }{
		{"CreateContainer", `{}`, one + "Value null at 'containerName' failed to satisfy constraint: Member must not be null"},
		{"CreateContainer", `{"ContainerName":null}`, one + "Value null at 'containerName' failed to satisfy constraint: Member must not be null"},
		{"CreateContainer", `{"ContainerName":"a b"}`, one + `Value 'a b' at 'containerName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w-]+`},
		{"CreateContainer", `{"ContainerName":"` + strings.Repeat("a", 256) + `"}`, "at 'containerName' failed to satisfy constraint: Member must have length less than or equal to 255"},
		{"CreateContainer", `{"ContainerName":""}`, "2 validation errors detected: Value '' at 'containerName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"CreateContainer", `{"ContainerName":"a","Tags":[]}`, one + "Value '[0 members]' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"CreateContainer", `{"ContainerName":"a","Tags":[{"Value":"v"}]}`, one + "Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be null"},
		{"CreateContainer", `{"ContainerName":"a","Tags":[{"Key":"aws:k"}]}`, "aws:"},
		{"CreateContainer", `{"ContainerName":"a","Tags":[{"Key":"k"},{"Key":"k"}]}`, "twice"},
		{"DescribeContainer", `{}`, one + "Value null at 'containerName' failed to satisfy constraint: Member must not be null"},
		{"ListContainers", `{"MaxResults":0}`, one + "Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"ListContainers", `{"MaxResults":101}`, one + "Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100"},
		{"PutContainerPolicy", `{"ContainerName":"movies","Policy":"ä"}`, "at 'policy' failed to satisfy constraint"},
		{"PutContainerPolicy", `{"ContainerName":"movies","Policy":"{}"}`, "Policy"},
		{"PutContainerPolicy", `{"ContainerName":"movies","Policy":"` + strings.Repeat(" ", 8193) + `"}`, "less than or equal to 8192"},
		{"PutLifecyclePolicy", `{"ContainerName":"movies","LifecyclePolicy":"{}"}`, "LifecyclePolicy"},
		{"PutCorsPolicy", `{"ContainerName":"movies","CorsPolicy":[]}`, "at 'corsPolicy' failed to satisfy constraint"},
		{"PutCorsPolicy", `{"ContainerName":"movies","CorsPolicy":[{"AllowedOrigins":["*"],"AllowedHeaders":[],"AllowedMethods":["POST"]}]}`, "Member must satisfy enum value set"},
		{"PutMetricPolicy", `{"ContainerName":"movies","MetricPolicy":{}}`, "Value null at 'metricPolicy.containerLevelMetrics' failed"},
	} {
		s.refused(test.operation, test.input, "ValidationException", test.message)
	}
	if diff := cmp.Diff(mediastore.Container{
		Account: account, Region: region, Name: "movies", ID: "00000000movies", Status: mediastore.StatusActive, CreatedAt: epoch,
	}, s.kept("movies")); diff != "" {
		t.Errorf("a request that was refused changed something (-want +got):\n%s", diff)
	}
}

// TestEveryOperation runs each of the 21 once, on a container that has all that
// it wants; call holds the answers against the model.
func TestEveryOperation(t *testing.T) {
	s := serve(t)
	s.store("movies", mediastore.StatusActive)
	const name, resource = `{"ContainerName":"movies"}`, `{"Resource":"` + arn + `movies"}`
	const policy = `{\"Version\": \"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"mediastore:*\",\"Resource\":\"*\"}]}`
	const lifecycle = `{\"rules\": [{\"definition\":{\"path\":[{\"prefix\":\"\"}],\"days_since_create\":[{\"numeric\":[\">\",1]}]},\"action\":\"EXPIRE\"}]}`
	const cors = `[{"AllowedHeaders":["*"],"AllowedMethods":["GET"],"AllowedOrigins":["*"],"MaxAgeSeconds":5}]`
	const metric = `{"ContainerLevelMetrics":"ENABLED","MetricPolicyRules":[{"ObjectGroup":"a/*","ObjectGroupName":"a"}]}`
	const container = `{"ARN":"` + arn + `movies","Name":"movies","Status":"ACTIVE","CreationTime":1772366400.250,"AccessLoggingEnabled":%t,"Endpoint":"http://data.example.com/00000000movies"}`
	run := map[string]bool{}
	for _, step := range []struct{ operation, input, output string }{
		{"ListContainers", `{"MaxResults":1}`, `{"Containers":[` + fmt.Sprintf(container, false) + `]}`},
		{"CreateContainer", `{"ContainerName":"news","Tags":[{"Key":"k"}]}`, `{"Container":{"ARN":"` + arn + `news","Name":"news","Status":"CREATING","CreationTime":1772366400.250,"AccessLoggingEnabled":false}}`},
		{"DescribeContainer", name, `{"Container":` + fmt.Sprintf(container, false) + `}`},
		{"StartAccessLogging", name, `{}`},
		{"DescribeContainer", name, `{"Container":` + fmt.Sprintf(container, true) + `}`},
		{"StopAccessLogging", name, `{}`},
		{"ListTagsForResource", resource, `{}`},
		{"TagResource", `{"Resource":"` + arn + `movies","Tags":[{"Key":"b","Value":"a+b=c/d"},{"Key":"a","Value":null}]}`, `{}`},
		{"ListTagsForResource", resource, `{"Tags":[{"Key":"a","Value":""},{"Key":"b","Value":"a+b=c/d"}]}`},
		{"UntagResource", `{"Resource":"` + arn + `movies","TagKeys":["a","unknown"]}`, `{}`},
		{"ListTagsForResource", resource, `{"Tags":[{"Key":"b","Value":"a+b=c/d"}]}`},
		{"PutContainerPolicy", `{"ContainerName":"movies","Policy":"` + policy + `"}`, `{}`},
		{"GetContainerPolicy", name, `{"Policy":"` + policy + `"}`},
		{"DeleteContainerPolicy", name, `{}`},
		{"PutLifecyclePolicy", `{"ContainerName":"movies","LifecyclePolicy":"` + lifecycle + `"}`, `{}`},
		{"GetLifecyclePolicy", name, `{"LifecyclePolicy":"` + lifecycle + `"}`},
		{"DeleteLifecyclePolicy", name, `{}`},
		{"PutCorsPolicy", `{"ContainerName":"movies","CorsPolicy":` + cors + `}`, `{}`},
		{"GetCorsPolicy", name, `{"CorsPolicy":` + cors + `}`},
		{"DeleteCorsPolicy", name, `{}`},
		{"PutMetricPolicy", `{"ContainerName":"movies","MetricPolicy":` + metric + `}`, `{}`},
		{"GetMetricPolicy", name, `{"MetricPolicy":` + metric + `}`},
		{"DeleteMetricPolicy", name, `{}`},
		{"DeleteContainer", name, `{}`},
	} {
		run[step.operation] = true
		a := s.call(step.operation, step.input)
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", step.operation, a.status, a.body)
		}
		want, got := decode(t, step.output), decode(t, a.body)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", step.operation, step.input, diff)
		}
	}
	for _, op := range s.model.Operations() {
		if !run[op.Name] {
			t.Errorf("%s was not run", op.Name)
		}
	}
}

// decode reads JSON and keeps the form of its numbers: the fraction of a time is
// part of it.
func decode(t *testing.T, text string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestLife(t *testing.T) {
	s := serve(t)
	const name = `{"ContainerName":"movies"}`
	var created, described struct {
		Container struct{ ARN, Name, Status, Endpoint string }
	}
	s.must("CreateContainer", name, &created)
	if created.Container.Status != "CREATING" || created.Container.Endpoint != "" {
		t.Errorf("created %+v", created)
	}
	s.refused("CreateContainer", name, "ContainerInUseException", "movies")
	for described.Container.Status != "ACTIVE" {
		s.must("DescribeContainer", name, &described)
	}
	if described.Container.Endpoint == "" {
		t.Error("an ACTIVE container has no endpoint")
	}
	var policy struct{ Policy string }
	s.must("GetContainerPolicy", name, &policy)
	if !strings.Contains(policy.Policy, "aws:SecureTransport") {
		t.Errorf("the default policy is %s", policy.Policy)
	}
	s.must("DeleteContainer", name, &struct{}{})
	for a := s.call("DescribeContainer", name); a.code != "ContainerNotFoundException"; a = s.call("DescribeContainer", name) {
		if !strings.Contains(a.body, "DELETING") {
			t.Fatalf("after it was deleted: %s", a.body)
		}
	}
	s.refused("DeleteContainer", name, "ContainerNotFoundException", "movies")
}

func TestErrorsOfAContainer(t *testing.T) {
	s := serve(t)
	s.store("movies", mediastore.StatusActive)
	s.store("creating", mediastore.StatusCreating)
	s.store("deleting", mediastore.StatusDeleting)
	for _, test := range []struct{ operation, name, code string }{
		{"GetContainerPolicy", "movies", "PolicyNotFoundException"},
		{"DeleteContainerPolicy", "movies", "PolicyNotFoundException"},
		{"GetLifecyclePolicy", "movies", "PolicyNotFoundException"},
		{"DeleteLifecyclePolicy", "movies", "PolicyNotFoundException"},
		{"GetMetricPolicy", "movies", "PolicyNotFoundException"},
		{"DeleteMetricPolicy", "movies", "PolicyNotFoundException"},
		{"GetCorsPolicy", "movies", "CorsPolicyNotFoundException"},
		{"DeleteCorsPolicy", "movies", "CorsPolicyNotFoundException"},
		{"DescribeContainer", "nowhere", "ContainerNotFoundException"},
		{"GetCorsPolicy", "nowhere", "ContainerNotFoundException"},
		{"DeleteContainer", "nowhere", "ContainerNotFoundException"},
		{"StartAccessLogging", "nowhere", "ContainerNotFoundException"},
		{"GetMetricPolicy", "creating", "ContainerInUseException"},
		{"StopAccessLogging", "deleting", "ContainerInUseException"},
		{"DeleteContainer", "deleting", "ContainerInUseException"},
		{"CreateContainer", "deleting", "ContainerInUseException"},
	} {
		s.refused(test.operation, `{"ContainerName":"`+test.name+`"}`, test.code, "")
	}
	for _, name := range []string{"creating", "deleting"} {
		if a := s.call("DescribeContainer", `{"ContainerName":"`+name+`"}`); !strings.Contains(a.body, strings.ToUpper(name)) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

func TestListContainersPages(t *testing.T) {
	s := serve(t)
	const all = 205
	for i := range all {
		s.store(mediastore.ContainerName(fmt.Sprintf("c%03d", i)), mediastore.StatusActive)
	}
	type page struct {
		Containers []struct{ Name string }
		NextToken  *string
	}
	for _, size := range []int{0, 1, 41, 100} {
		var names []string
		for token := ""; ; {
			input := map[string]any{}
			if size > 0 {
				input["MaxResults"] = size
			}
			if token != "" {
				input["NextToken"] = token
			}
			b, _ := json.Marshal(input)
			var p page
			s.must("ListContainers", string(b), &p)
			for _, c := range p.Containers {
				names = append(names, c.Name)
			}
			more := size > 0 && len(names) < all
			if (p.NextToken != nil) != more || more && len(p.Containers) != size {
				t.Fatalf("pages of %d: %d containers after %d in all, token %v", size, len(p.Containers), len(names), p.NextToken)
			}
			if p.NextToken == nil {
				break
			}
			token = *p.NextToken
		}
		for i, name := range names {
			if name != fmt.Sprintf("c%03d", i) {
				t.Fatalf("pages of %d: the container %d is %s", size, i, name)
			}
		}
		if len(names) != all {
			t.Errorf("pages of %d: %d containers", size, len(names))
		}
	}
}

func TestListContainersTokens(t *testing.T) {
	s := serve(t)
	s.store("a", mediastore.StatusActive)
	s.store("c", mediastore.StatusActive)
	encode := base64.StdEncoding.EncodeToString
	for _, token := range []string{
		"", "?", "YQ", "Y", "====", "YR==", encode([]byte("a b")), encode([]byte{0, 255}),
		encode([]byte(strings.Repeat("a", 256))), strings.Repeat("YWFh", 257),
	} {
		s.refused("ListContainers", `{"NextToken":"`+token+`"}`, "ValidationException", "nextToken")
	}
	// The container that a token names may be gone by the time it is used.
	if a := s.call("ListContainers", `{"NextToken":"`+encode([]byte("b"))+`"}`); strings.Contains(a.body, `"a"`) || !strings.Contains(a.body, `"c"`) {
		t.Errorf("after b: %s", a.body)
	}
}

func TestTagARNs(t *testing.T) {
	s := serve(t)
	s.store("movies", mediastore.StatusActive)
	for _, test := range []struct{ resource, code string }{
		{arn + "nowhere", "ContainerNotFoundException"},
		{arn + "MOVIES", "ContainerNotFoundException"},
		{"arn:aws:mediastore:eu-west-1:111122223333:container/movies", "ContainerNotFoundException"},
		{"arn:aws:mediastore:us-west-2:444455556666:container/movies", "ContainerNotFoundException"},
		{"arn:aws-cn:mediastore:us-west-2:111122223333:container/movies", "ValidationException"},
		{"arn:aws:s3:us-west-2:111122223333:container/movies", "ValidationException"},
		{"arn:aws:mediastore:us-west-2:111122223333:channel/movies", "ValidationException"},
		{"arn:aws:mediastore:us-west-2:11112222333:container/movies", "ValidationException"},
		{arn, "ValidationException"},
		{arn + "movies/a", "ValidationException"},
		{" " + arn + "movies", "ValidationException"},
		{"movies", "ValidationException"},
		{"", "ValidationException"},
		{strings.Repeat("x", 2000), "ValidationException"},
	} {
		s.refused("ListTagsForResource", `{"Resource":"`+test.resource+`"}`, test.code, "")
		s.refused("TagResource", `{"Resource":"`+test.resource+`","Tags":[{"Key":"k"}]}`, test.code, "")
		s.refused("UntagResource", `{"Resource":"`+test.resource+`","TagKeys":["k"]}`, test.code, "")
	}
	if tags := s.kept("movies").Tags; tags != nil {
		t.Errorf("tags landed on the container: %v", tags)
	}
}

// TestNullsAreAbsent: clients that write null for a member that they do not set
// store the same as those that leave it out.
func TestNullsAreAbsent(t *testing.T) {
	s := serve(t)
	s.store("movies", mediastore.StatusActive)
	s.must("PutCorsPolicy", `{"ContainerName":"movies","CorsPolicy":[{"AllowedOrigins":["*"],"AllowedMethods":["GET"],"AllowedHeaders":[],"ExposeHeaders":null,"MaxAgeSeconds":null,"Unknown":null}]}`, &struct{}{})
	s.must("PutMetricPolicy", `{"ContainerName":"movies","MetricPolicy":{"ContainerLevelMetrics":"ENABLED","MetricPolicyRules":null}}`, &struct{}{})
	c := s.kept("movies")
	if want := `[{"AllowedHeaders":[],"AllowedMethods":["GET"],"AllowedOrigins":["*"]}]`; c.Cors != want {
		t.Errorf("stored %s, want %s", c.Cors, want)
	}
	if want := `{"ContainerLevelMetrics":"ENABLED"}`; c.Metric != want {
		t.Errorf("stored %s, want %s", c.Metric, want)
	}
	s.must("GetCorsPolicy", `{"ContainerName":"movies"}`, &struct{}{})
	s.must("GetMetricPolicy", `{"ContainerName":"movies"}`, &struct{}{})
	s.refused("PutCorsPolicy", `{"ContainerName":"movies","CorsPolicy":null}`, "ValidationException", "'corsPolicy'")
	s.refused("PutCorsPolicy", `{"ContainerName":"movies","CorsPolicy":[null]}`, "ValidationException", "'corsPolicy.1.member'")
	s.refused("PutMetricPolicy", `{"ContainerName":"movies","MetricPolicy":null}`, "ValidationException", "'metricPolicy'")
}

func TestEngineIsDown(t *testing.T) {
	s := serve(t)
	s.engine.Close()
	a := s.call("ListContainers", "{}")
	if a.status != http.StatusServiceUnavailable || a.code != "ServiceUnavailableException" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
}
