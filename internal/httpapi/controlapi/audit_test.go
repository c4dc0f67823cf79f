package controlapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// recorded sends a request and returns the record of it, which is there before
// the answer is.
func (s *server) recorded(target, body string, change func(*http.Request)) event.Call {
	s.t.Helper()
	a := s.post(target, strings.NewReader(body), change)
	select {
	case c := <-s.audit:
		if c.ID == "" || c.ID != a.header.Get("x-amzn-RequestId") || c.Time.IsZero() || !c.Source.IsLoopback() || c.Region != region || c.Service != "mediastore.amazonaws.com" {
			s.t.Errorf("%s: the record is %+v", target, c)
		}
		return c
	default:
		s.t.Fatalf("%s: the answer is there and no record", target)
		return event.Call{}
	}
}

func TestEveryCallIsOnRecord(t *testing.T) {
	s := serve(t)
	s.store("movies", mediastore.StatusActive)
	root := event.Identity{Type: event.IdentityRoot, ARN: "arn:aws:iam::" + account + ":root", AccessKeyID: "AKIDROOT"}
	nobody := event.Identity{Type: event.IdentityUnknown}
	as := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(id, secret) }
	}
	for name, test := range map[string]struct {
		target, body string
		change       func(*http.Request)
		want         event.Call
	}{
		"a change": {prefix + "StartAccessLogging", `{"ContainerName":"movies"}`, asRoot,
			event.Call{Operation: "StartAccessLogging", Account: account, Identity: root, Parameters: json.RawMessage(`{"ContainerName":"movies"}`), Result: json.RawMessage(`{}`)}},
		"a look": {prefix + "DescribeContainer", ` {"ContainerName":"movies"} `, asRoot,
			event.Call{Operation: "DescribeContainer", ReadOnly: true, Account: account, Identity: root, Parameters: json.RawMessage(`{"ContainerName":"movies"}`)}},
		"without parameters": {prefix + "ListContainers", "", asRoot,
			event.Call{Operation: "ListContainers", ReadOnly: true, Account: account, Identity: root}},
		"a failure": {prefix + "DeleteContainer", `{"ContainerName":"nosuch"}`, asRoot,
			event.Call{Operation: "DeleteContainer", Account: account, Identity: root, Parameters: json.RawMessage(`{"ContainerName":"nosuch"}`), ErrorCode: "ContainerNotFoundException", ErrorMessage: "Container not found: nosuch"}},
		"a wrong secret": {prefix + "DeleteContainer", `{"ContainerName":"movies"}`, as("AKIDROOT", "wrong"),
			event.Call{Operation: "DeleteContainer", Identity: event.Identity{Type: event.IdentityUnknown, AccessKeyID: "AKIDROOT"}, ErrorCode: "InvalidSignatureException", ErrorMessage: "Authorization: the secret does not belong to the access key"}},
		"an unknown key": {prefix + "DeleteContainer", `{}`, as("AKIDNOBODY", "x"),
			event.Call{Operation: "DeleteContainer", Identity: event.Identity{Type: event.IdentityUnknown, AccessKeyID: "AKIDNOBODY"}, ErrorCode: "UnrecognizedClientException", ErrorMessage: "The access key ID does not exist"}},
		"anonymous": {prefix + "DeleteContainer", `{"ContainerName":"movies"}`, func(*http.Request) {},
			event.Call{Operation: "DeleteContainer", Identity: nobody, ErrorCode: "MissingAuthenticationTokenException", ErrorMessage: "The request must be signed: it has no credentials"}},
		"an unknown operation": {prefix + "Nothing", `{}`, asRoot,
			event.Call{Operation: "Nothing", Account: account, Identity: root, ErrorCode: "UnknownOperationException", ErrorMessage: `X-Amz-Target "MediaStore_20170901.Nothing" does not name an operation`}},
		"no JSON": {prefix + "DeleteContainer", `{`, asRoot,
			event.Call{Operation: "DeleteContainer", Account: account, Identity: root, ErrorCode: "SerializationException", ErrorMessage: "The body is not JSON: unexpected EOF"}},
	} {
		got := s.recorded(test.target, test.body, test.change)
		ignored := cmpopts.IgnoreFields(event.Call{}, "ID", "Time", "Source", "Region", "Service", "UserAgent")
		if diff := cmp.Diff(test.want, got, ignored); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestAuditedNamesAreBounded: what nobody has vouched for must not fill a record.
func TestAuditedNamesAreBounded(t *testing.T) {
	s := serve(t)
	long := strings.Repeat("x", 10_000)
	c := s.recorded(prefix+long, long, func(r *http.Request) { r.SetBasicAuth(long, "x") })
	if len(c.Operation) > 100 || len(c.Identity.AccessKeyID) > 128 || c.Parameters != nil {
		t.Errorf("a record of %d, %d and %d bytes", len(c.Operation), len(c.Identity.AccessKeyID), len(c.Parameters))
	}
}
