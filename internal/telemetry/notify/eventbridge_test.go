package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"headwater/internal/awstest"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// putEvents is the request, as EventBridge's API reference describes it.
type putEvents struct {
	Entries []struct {
		Source, DetailType, Detail, EventBusName string
		Resources                                []string
		Time                                     float64
	}
}

// bus starts a stand-in for EventBridge that answers as answer says.
func bus(t *testing.T, answer func(putEvents) (int, string)) *EventBridge {
	t.Helper()
	awstest.SetCredentials(t)
	url := awstest.Serve(t, "events", func(call awstest.Call) (int, string, string) {
		if target := call.Header.Get("X-Amz-Target"); target != "AWSEvents.PutEvents" || call.Method != http.MethodPost {
			t.Errorf("%s %s", call.Method, target)
		}
		if ct := call.Header.Get("Content-Type"); ct != "application/x-amz-json-1.1" {
			t.Errorf("Content-Type: %s", ct)
		}
		var in putEvents
		if err := json.Unmarshal(call.Body, &in); err != nil {
			t.Error(err)
		}
		status, body := answer(in)
		return status, "application/x-amz-json-1.1", body
	})
	b, err := NewEventBridge(t.Context(), EventBridgeConfig{Bus: "live", Endpoint: url}, renderer())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkEntry holds an entry against the documented limits.
func checkEntry(t *testing.T, in putEvents) {
	t.Helper()
	total := 0
	for _, e := range in.Entries {
		size := 14 + len(e.Source) + len(e.DetailType) + len(e.Detail)
		for _, r := range e.Resources {
			size += len(r)
			if len(r) > 2048 {
				t.Errorf("a resource has %d characters", len(r))
			}
		}
		total += size
		if strings.HasPrefix(e.Source, "aws.") {
			t.Errorf("the source %s is refused from all but AWS", e.Source)
		}
	}
	if n := len(in.Entries); n < 1 || n > 10 || total > 256<<10 {
		t.Errorf("%d entries of %d bytes in all", n, total)
	}
}

func TestEventBridgeEntries(t *testing.T) {
	var got putEvents
	b := bus(t, func(in putEvents) (int, string) {
		got = in
		checkEntry(t, in)
		return 200, `{"FailedEntryCount":0,"Entries":[{"EventId":"1"},{"EventId":"2"},{"EventId":"3"},{"EventId":"4"}]}`
	})
	if err := errors.Join(b.Deliver(t.Context(), changes())...); err != nil {
		t.Fatal(err)
	}
	want := wanted(t)
	for i, entry := range got.Entries {
		detail := maps.Clone(want[i]["detail"].(map[string]any))
		detail["EventId"] = want[i]["id"]
		var gotDetail map[string]any
		if err := json.Unmarshal([]byte(entry.Detail), &gotDetail); err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(detail, gotDetail); diff != "" {
			t.Error(diff)
		}
		entry.Detail = ""
		if diff := gocmp.Diff(fmt.Sprint(want[i]["detail-type"], want[i]["resources"]), fmt.Sprint(entry.DetailType, entry.Resources)); diff != "" {
			t.Error(diff)
		}
		if entry.Source != "headwater.mediastore" || entry.EventBusName != "live" || int64(entry.Time) != 1772366400 {
			t.Errorf("%+v", entry)
		}
	}
	if len(got.Entries) != 4 {
		t.Errorf("%d entries", len(got.Entries))
	}
}

func TestEventBridgeLargest(t *testing.T) {
	answered := `{"FailedEntryCount":0,"Entries":[` + strings.Repeat(`{"EventId":"1"},`, 9) + `{"EventId":"1"}]}`
	b := bus(t, func(in putEvents) (int, string) { checkEntry(t, in); return 200, answered })
	n, _ := b.Limits()
	events := make([]event.Event, n)
	for i := range events {
		events[i] = changes()[1]
		events[i].Container = mediastore.ContainerName(strings.Repeat("c", 255))
		events[i].Path = mediastore.Path(strings.Repeat("p", 900))
	}
	if err := errors.Join(b.Deliver(t.Context(), events)...); err != nil {
		t.Error(err)
	}
}

func TestEventBridgeOutcomes(t *testing.T) {
	b := bus(t, func(putEvents) (int, string) {
		return 200, `{"FailedEntryCount":3,"Entries":[{"EventId":"1"},{"ErrorCode":"ThrottlingException","ErrorMessage":"slow"},
			{"ErrorCode":"MalformedDetail","ErrorMessage":"bad"},{"ErrorCode":"NotAuthorizedForSourceException"}]}`
	})
	var got []string
	for _, err := range b.Deliver(t.Context(), changes()) {
		got = append(got, verdict(err))
	}
	if diff := gocmp.Diff([]string{"delivered", "again", "refused", "again"}, got); diff != "" {
		t.Error(diff)
	}
}

func verdict(err error) string {
	var retry *RetryError
	switch {
	case err == nil:
		return "delivered"
	case refused(err):
		return "refused"
	case errors.As(err, &retry):
		return "again"
	default:
		return err.Error()
	}
}

// TestEventBridgeCallFails: then nothing of it was taken. The SDK does not try
// again by itself: it would not know of the order.
func TestEventBridgeCallFails(t *testing.T) {
	for _, answer := range []struct {
		status int
		body   string
	}{
		{500, `{"__type":"InternalException"}`},
		{400, `{"__type":"ThrottlingException"}`},
		{400, `{"__type":"ResourceNotFoundException","message":"Event bus live does not exist."}`},
		{200, `{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}`},
		{200, `{"FailedEnt`},
		{200, ``},
	} {
		calls := 0
		b := bus(t, func(putEvents) (int, string) { calls++; return answer.status, answer.body })
		errs := b.Deliver(t.Context(), changes())
		for _, err := range errs {
			if verdict(err) != "again" {
				t.Errorf("%v: %v", answer, err)
			}
		}
		if len(errs) != 4 || calls != 1 {
			t.Errorf("%v: %d outcomes after %d calls", answer, len(errs), calls)
		}
	}
}

func TestEventBridgeNeedsARegion(t *testing.T) {
	awstest.SetCredentials(t)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := NewEventBridge(t.Context(), EventBridgeConfig{Bus: "live"}, renderer()); !mediastore.IsKind(err, mediastore.KindInvalid) {
		t.Errorf("%v", err)
	}
	b, err := NewEventBridge(t.Context(), EventBridgeConfig{Bus: "live", Region: "eu-west-1", Source: "my.source"}, renderer())
	if err != nil || b.source != "my.source" || b.Name() != "eventbridge-live" {
		t.Errorf("%+v, %v", b, err)
	}
}
