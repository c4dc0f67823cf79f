package e2e

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is an OpenTelemetry collector that keeps what it gets.
type collector struct {
	t   *testing.T
	URL string

	mu      sync.Mutex
	metrics map[measured]float64 // the newest of each series, under MediaStore's names
	spans   []*tracepb.Span
	lines   strings.Builder // the bodies of log records
}

func collect(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, metrics: map[measured]float64{}}
	s := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(s.Close)
	c.URL = s.URL
	return c
}

func (c *collector) serve(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.URL.Path {
	case "/v1/metrics":
		var in colmetrics.ExportMetricsServiceRequest
		c.decode(body, &in)
		c.takeMetrics(&in)
	case "/v1/traces":
		var in coltrace.ExportTraceServiceRequest
		c.decode(body, &in)
		c.takeSpans(&in)
	case "/v1/logs":
		var in collogs.ExportLogsServiceRequest
		c.decode(body, &in)
		c.takeLogs(&in)
	default:
		c.t.Errorf("%s %s", r.Method, r.URL.Path)
	}
}

func (c *collector) decode(body []byte, into proto.Message) {
	if err := proto.Unmarshal(body, into); err != nil {
		c.t.Error(err)
	}
}

func (c *collector) wantHeadwater(r *resource.Resource) {
	if name := attributesOf(r.GetAttributes())["service.name"]; name != "headwater" {
		c.t.Errorf("service.name is %q", name)
	}
}

func (c *collector) takeMetrics(in *colmetrics.ExportMetricsServiceRequest) {
	for _, about := range in.ResourceMetrics {
		c.wantHeadwater(about.Resource)
		for _, scope := range about.ScopeMetrics {
			for _, m := range scope.Metrics {
				c.takeMetric(m)
			}
		}
	}
}

// takeMetric keeps the newest value. Messages come one after the other, and sums
// are since the start.
func (c *collector) takeMetric(m *metricspb.Metric) {
	keep := func(name string, attributes []*common.KeyValue, value float64) {
		if known, ours := mediaStoreNames[name]; ours {
			a := attributesOf(attributes)
			c.metrics[measured{known, a["container"], a["object_group"], a["request_type"]}] = value
		}
	}
	for _, p := range m.GetSum().GetDataPoints() {
		keep(m.Name, p.Attributes, p.GetAsDouble())
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		keep(m.Name+"_count", p.Attributes, float64(p.Count))
	}
}

func (c *collector) takeSpans(in *coltrace.ExportTraceServiceRequest) {
	for _, about := range in.ResourceSpans {
		c.wantHeadwater(about.Resource)
		for _, scope := range about.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

func (c *collector) takeLogs(in *collogs.ExportLogsServiceRequest) {
	for _, about := range in.ResourceLogs {
		c.wantHeadwater(about.Resource)
		for _, scope := range about.ScopeLogs {
			for _, r := range scope.LogRecords {
				c.lines.WriteString(r.Body.GetStringValue() + "\n")
				if r.EventName != "headwater.access" || r.TimeUnixNano == 0 {
					c.t.Errorf("a log record %v", r)
				}
			}
		}
	}
}

// attributesOf renders attributes.
func attributesOf(list []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range list {
		if text, ok := a.Value.Value.(*common.AnyValue_StringValue); ok {
			all[a.Key] = text.StringValue
		} else {
			all[a.Key] = fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return all
}

// traceParent is the header of the k-th trace.
func traceParent(k int) string { return fmt.Sprintf("00-%032x-%016x-01", 1000+k, 2000+k) }

// span is what a client knows of the span of its request.
type span struct {
	Name, TraceParent string
	Failed            bool
	Attributes        map[string]string
}

// span is what must be told of a request.
func (n note) span() span {
	method := map[string]string{"PutObject": "PUT", "GetObject": "GET", "DescribeObject": "HEAD", "DeleteObject": "DELETE", "ListItems": "GET"}[n.Operation]
	s := span{Name: n.Operation, TraceParent: n.TraceParent, Attributes: map[string]string{
		"http.request.method": method, "url.path": n.Path, "url.scheme": "http", "http.response.status_code": fmt.Sprint(n.Status),
		"http.request.body.size": fmt.Sprint(n.Sent), "http.response.body.size": fmt.Sprint(n.Received), "client.address": n.Source,
		"aws.request_id": n.ID, "headwater.container": n.Container, "headwater.operation": n.Operation,
	}}
	if n.ErrorCode != "" {
		s.Attributes["headwater.error_code"] = n.ErrorCode
	}
	if s.Failed = n.Status >= 500 || n.Status == http.StatusOK && n.ErrorCode != ""; s.Failed {
		s.Attributes["error.type"] = n.ErrorCode
	}
	return s
}

// equalSpans fails unless there is one for each request, which says the same.
func equalSpans(t *testing.T, notes []note, spans []*tracepb.Span) {
	t.Helper()
	want, got := map[string]span{}, map[string]span{}
	for _, n := range notes {
		want[n.ID] = n.span()
	}
	for _, s := range spans {
		about := span{Name: s.Name, Attributes: attributesOf(s.Attributes), Failed: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR}
		if len(s.ParentSpanId) > 0 {
			about.TraceParent = fmt.Sprintf("00-%s-%s-01", hex.EncodeToString(s.TraceId), hex.EncodeToString(s.ParentSpanId))
		}
		if s.Kind != tracepb.Span_SPAN_KIND_SERVER || s.EndTimeUnixNano < s.StartTimeUnixNano || len(s.Events) != 1 {
			t.Errorf("span %v", s)
		}
		got[about.Attributes["aws.request_id"]] = about
	}
	if diff := cmp.Diff(want, got); diff != "" || len(spans) != len(notes) {
		t.Errorf("%d spans of %d requests (-clients +spans):\n%s", len(spans), len(notes), diff)
	}
}

// TestOTLP: metrics, spans and records of the access log say what the clients did,
// when the server has ended.
func TestOTLP(t *testing.T) {
	c := collect(t)
	// What the environment says to OpenTelemetry's SDK is not the test's.
	env := []string{"OTEL_TRACES_SAMPLER=", "OTEL_SERVICE_NAME=", "OTEL_RESOURCE_ATTRIBUTES=", "OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_EXPORTER_OTLP_HEADERS="}
	s, _ := startPrinting(t, t.TempDir(), env,
		append(forLogs, "--otlp", "metrics,traces", "--access-log", "otlp", "--otlp-endpoint", c.URL)...)
	w := witnessOf(t, s, "live")
	before := w.notes() // it has spans, and neither metrics nor records
	w.mu.notes = nil
	putMetricPolicy(t, s, "live")
	operate(t, s, "StartAccessLogging", "live")

	w.crowd(3)
	w.breakOff("live/broken.ts")
	w.overload()
	for k := range 10 {
		w.do("GET", "seed/a.ts", "", nobody, with("traceparent", traceParent(k)))
	}
	w.hangUp()
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if want := tally(w.notes()); !maps.Equal(want, c.metrics) {
		t.Errorf("the metrics are not what the clients counted (-clients +metrics):\n%s", cmp.Diff(want, c.metrics))
	}
	equalSpans(t, append(before, w.notes()...), c.spans)
	equalRecords(t, w.notes(), parseRecords(t, c.lines.String()))
}
