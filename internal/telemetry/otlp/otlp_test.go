package otlp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"headwater/internal/event"
	"headwater/internal/mediastore"
	"headwater/internal/telemetry/accesslog"
	"headwater/internal/telemetry/otlp"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func after(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }

// collector is an OpenTelemetry collector that keeps what it gets.
type collector struct {
	url    string
	mu     sync.Mutex
	status int // of its answers
	header http.Header
	bodies map[string][][]byte // by path
}

func collect(t *testing.T) *collector {
	t.Helper()
	for _, name := range []string{"OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"} {
		t.Setenv(name, "")
	}
	c := &collector{status: http.StatusOK, bodies: map[string][][]byte{}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.header = r.Header
		c.bodies[r.URL.Path] = append(c.bodies[r.URL.Path], body)
		w.WriteHeader(c.status)
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

func start(t testing.TB, cfg otlp.Config) *otlp.Exporter {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e, err := otlp.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func closed(t *testing.T, e *otlp.Exporter) {
	t.Helper()
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// read decodes every message that came to a path.
func read[M proto.Message](t *testing.T, c *collector, path string, message func() M) (all []M) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, body := range c.bodies[path] {
		m := message()
		if err := proto.Unmarshal(body, m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func (c *collector) spans(t *testing.T) (all []*tracepb.Span) {
	t.Helper()
	for _, m := range read(t, c, "/v1/traces", func() *coltrace.ExportTraceServiceRequest { return new(coltrace.ExportTraceServiceRequest) }) {
		for _, r := range m.ResourceSpans {
			for _, s := range r.ScopeSpans {
				all = append(all, s.Spans...)
			}
		}
	}
	return all
}

// flat renders attributes.
func flat(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.Key] = fmt.Sprint(v.IntValue)
		default:
			all[a.Key] = fmt.Sprintf("%T", v)
		}
	}
	return all
}

func get() *event.Request {
	return &event.Request{
		ID: "REQ1", Operation: event.GetObject, Method: "GET", Container: "live", Path: "a/b.m3u8",
		Source: netip.MustParseAddr("2001:db8::1"), Secure: true, Status: 200, BytesReceived: 3, BytesSent: 1234,
		Received: noon, BodyRead: after(1), FirstByte: after(5), LastByte: after(9),
	}
}

func TestSpan(t *testing.T) {
	c := collect(t)
	e := start(t, otlp.Config{Endpoint: c.url, Traces: true, ServiceVersion: "v1.2.3", InstanceID: "origin-1"})
	r := get()
	r.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	e.Request(r)
	closed(t, e)

	messages := read(t, c, "/v1/traces", func() *coltrace.ExportTraceServiceRequest { return new(coltrace.ExportTraceServiceRequest) })
	if len(messages) != 1 {
		t.Fatalf("%d messages", len(messages))
	}
	about := flat(messages[0].ResourceSpans[0].Resource.Attributes)
	for name, want := range map[string]string{"service.name": "headwater", "service.version": "v1.2.3", "service.instance.id": "origin-1", "telemetry.sdk.language": "go"} {
		if about[name] != want {
			t.Errorf("resource attribute %s is %q, want %q", name, about[name], want)
		}
	}
	span := c.spans(t)[0]
	if got := fmt.Sprintf("%x %x %s %s", span.TraceId, span.ParentSpanId, span.Name, span.Kind); got != "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 GetObject SPAN_KIND_SERVER" {
		t.Errorf("span %s", got)
	}
	if span.StartTimeUnixNano != uint64(noon.UnixNano()) || span.EndTimeUnixNano != uint64(after(9).UnixNano()) {
		t.Errorf("the span is from %d to %d", span.StartTimeUnixNano, span.EndTimeUnixNano)
	}
	if len(span.Events) != 1 || span.Events[0].Name != "first byte" || span.Events[0].TimeUnixNano != uint64(after(5).UnixNano()) {
		t.Errorf("events %v", span.Events)
	}
	want := map[string]string{
		"http.request.method": "GET", "url.path": "/a/b.m3u8", "url.scheme": "https", "http.response.status_code": "200",
		"http.request.body.size": "3", "http.response.body.size": "1234", "client.address": "2001:db8::1",
		"aws.request_id": "REQ1", "headwater.container": "live", "headwater.operation": "GetObject",
	}
	if diff := cmp.Diff(want, flat(span.Attributes)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if span.Status.GetCode() != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("status %v", span.Status)
	}
}

func TestSpanOfErrors(t *testing.T) {
	for name, test := range map[string]struct {
		change    func(*event.Request)
		span      string
		errorType string // empty: the span is no error
		attribute [2]string
	}{
		"not found":       {func(r *event.Request) { r.Status, r.ErrorCode = 404, "ObjectNotFoundException" }, "GetObject", "", [2]string{"headwater.error_code", "ObjectNotFoundException"}},
		"internal":        {func(r *event.Request) { r.Status, r.ErrorCode = 500, "InternalServerError" }, "GetObject", "InternalServerError", [2]string{"http.response.status_code", "500"}},
		"without code":    {func(r *event.Request) { r.Status = 503 }, "GetObject", "503", [2]string{"headwater.error_code", ""}},
		"broken off":      {func(r *event.Request) { r.ErrorCode = "InternalServerError" }, "GetObject", "InternalServerError", [2]string{"http.response.status_code", "200"}},
		"not modified":    {func(r *event.Request) { r.Status, r.ErrorCode = 304, "NotModified" }, "GetObject", "", [2]string{"headwater.error_code", "NotModified"}},
		"preflight":       {func(r *event.Request) { r.Operation, r.Method = "", "OPTIONS" }, "OPTIONS", "", [2]string{"headwater.operation", ""}},
		"odd method":      {func(r *event.Request) { r.Operation, r.Method = "", "BREW" }, "HTTP", "", [2]string{"http.request.method", "_OTHER"}},
		"odd method kept": {func(r *event.Request) { r.Operation, r.Method = "", "BREW" }, "HTTP", "", [2]string{"http.request.method_original", "BREW"}},
		"path not UTF-8":  {func(r *event.Request) { r.Path = "a\xff" }, "GetObject", "", [2]string{"url.path", "/a\uFFFD"}},
		"method too":      {func(r *event.Request) { r.Operation, r.Method = "", "\xff" }, "HTTP", "", [2]string{"http.request.method_original", "\uFFFD"}},
		"source unknown":  {func(r *event.Request) { r.Source = netip.Addr{} }, "GetObject", "", [2]string{"client.address", ""}},
	} {
		c := collect(t)
		e := start(t, otlp.Config{Endpoint: c.url, Traces: true})
		r := get()
		test.change(r)
		e.Request(r)
		closed(t, e)
		span := c.spans(t)[0]
		attributes := flat(span.Attributes)
		if span.Name != test.span || attributes["error.type"] != test.errorType || attributes[test.attribute[0]] != test.attribute[1] {
			t.Errorf("%s: span %s with %v", name, span.Name, attributes)
		}
		if (span.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR) != (test.errorType != "") {
			t.Errorf("%s: status %v", name, span.Status)
		}
	}
}

func TestSampling(t *testing.T) {
	const sampled, not = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for _, test := range []struct {
		sampler, parent string
		spans           int
	}{
		{"", "", 1}, {"", sampled, 1}, {"", not, 0},
		{"", "nonsense", 1}, {"", "00-00000000000000000000000000000000-b7ad6b7169203331-00", 1}, {"", strings.Repeat("0", 10000), 1},
		{"parentbased_always_off", "", 0}, {"parentbased_always_off", sampled, 1},
		{"always_off", sampled, 0},
	} {
		c := collect(t)
		t.Setenv("OTEL_TRACES_SAMPLER", test.sampler)
		e := start(t, otlp.Config{Endpoint: c.url, Traces: true})
		r := get()
		r.TraceParent = test.parent
		e.Request(r)
		closed(t, e)
		if n := len(c.spans(t)); n != test.spans {
			t.Errorf("sampler %q, parent %.60q: %d spans, want %d", test.sampler, test.parent, n, test.spans)
		}
	}
}

func TestMetrics(t *testing.T) {
	c := collect(t)
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headwater_things_total", Help: "Things"}, []string{"kind"})
	registry.MustRegister(counter, failing{})
	counter.WithLabelValues("good").Add(7)
	var log bytes.Buffer
	e := start(t, otlp.Config{Endpoint: c.url, Metrics: true, Gatherer: registry, InstanceID: "origin-1", Log: slog.New(slog.NewTextHandler(&log, nil))})
	closed(t, e)

	var found *metrics.NumberDataPoint
	for _, m := range read(t, c, "/v1/metrics", func() *colmetrics.ExportMetricsServiceRequest { return new(colmetrics.ExportMetricsServiceRequest) }) {
		if id := flat(m.ResourceMetrics[0].Resource.Attributes)["service.instance.id"]; id != "origin-1" {
			t.Errorf("service.instance.id %q", id)
		}
		for _, one := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
			if sum := one.GetSum(); one.Name == "headwater_things_total" && sum.IsMonotonic {
				found = sum.DataPoints[0]
			}
		}
	}
	if found == nil || found.GetAsDouble() != 7 || flat(found.Attributes)["kind"] != "good" {
		t.Errorf("the counter came as %v", found)
	}
	if !strings.Contains(log.String(), "one is broken") {
		t.Errorf("the log says nothing of the collector that failed: %s", log.String())
	}
}

// failing is a metric that cannot be gathered.
type failing struct{}

func (failing) Describe(chan<- *prometheus.Desc) {}

func (failing) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "", nil, nil), fmt.Errorf("one is broken"))
}

func TestLogs(t *testing.T) {
	c := collect(t)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret")
	e := start(t, otlp.Config{Endpoint: c.url + "/base/", Logs: true, InstanceID: "origin-1"})
	sink := e.Sink()
	text := []byte(`{"Path":"ä"}`)
	var batch []accesslog.Entry
	for range 2500 {
		batch = append(batch, accesslog.Entry{Account: "111122223333", Container: "live", Time: after(3), JSON: text})
	}
	if err := sink.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	text[0] = '!' // it is the sink's no longer
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	closed(t, e)

	var sizes []int
	for _, m := range read(t, c, "/base/v1/logs", func() *collogs.ExportLogsServiceRequest { return new(collogs.ExportLogsServiceRequest) }) {
		if id := flat(m.ResourceLogs[0].Resource.Attributes)["service.instance.id"]; id != "origin-1" {
			t.Errorf("service.instance.id %q", id)
		}
		records := m.ResourceLogs[0].ScopeLogs[0].LogRecords
		sizes = append(sizes, len(records))
		r := records[len(records)-1]
		if r.Body.GetStringValue() != `{"Path":"ä"}` || r.TimeUnixNano != uint64(after(3).UnixNano()) || r.EventName != "headwater.access" || r.SeverityNumber != 9 {
			t.Fatalf("record %v", r)
		}
		if diff := cmp.Diff(map[string]string{"headwater.container": "live", "cloud.account.id": "111122223333"}, flat(r.Attributes)); diff != "" {
			t.Fatalf("attributes (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]int{1000, 1000, 500}, sizes); diff != "" {
		t.Errorf("records in each message (-want +got):\n%s", diff)
	}
	if key := c.header.Get("Api-Key"); key != "secret" {
		t.Errorf("the header of OTEL_EXPORTER_OTLP_HEADERS came as %q", key)
	}
}

func TestLostLogsAreCounted(t *testing.T) {
	c := collect(t)
	c.status = http.StatusUnauthorized
	e := start(t, otlp.Config{Endpoint: c.url, Logs: true})
	err := e.Sink().Write(t.Context(), make([]accesslog.Entry, 1200))
	lost, ok := err.(interface{ Lost() int })
	if !ok || lost.Lost() != 1200 {
		t.Errorf("%v; want 1200 lost", err)
	}
	c.status = http.StatusOK
	if err := e.Sink().Write(t.Context(), make([]accesslog.Entry, 2)); err != nil {
		t.Errorf("after that: %v", err)
	}
	closed(t, e)
}

// TestADeadCollectorStopsNothing: one that takes connections and never answers.
func TestADeadCollectorStopsNothing(t *testing.T) {
	collect(t)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000") // the SDK would wait for an hour
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "3600000")
	came := make(chan string, 100)
	dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		came <- r.URL.Path
		<-r.Context().Done()
	}))
	defer dead.Close() // hangs while the client has not given up
	e := start(t, otlp.Config{Endpoint: dead.URL, Metrics: true, Logs: true, Traces: true, Gatherer: prometheus.NewRegistry()})
	for range 10_000 { // more than the SDK's queue takes: none waits for the collector
		e.Request(get())
	}
	<-came
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Sink().Write(ctx, make([]accesslog.Entry, 1)); err == nil {
		t.Error("a record is not lost")
	}
	if err := e.Close(ctx); err == nil {
		t.Error("Close says that everything was sent")
	}
	e.Request(get())
	for stacks := make([]byte, 1<<20); bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("otel/sdk")); {
		runtime.Gosched() // until nothing of the SDK runs: for ever, if it is left running
	}
}

// TestMetricsAreSentEachInterval: also before Close.
func TestMetricsAreSentEachInterval(t *testing.T) {
	collect(t)
	came := make(chan struct{}, 3)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case came <- struct{}{}:
		default:
		}
	}))
	defer s.Close()
	e := start(t, otlp.Config{Endpoint: s.URL, Metrics: true, Gatherer: prometheus.NewRegistry(), Interval: time.Millisecond})
	for range 3 {
		<-came
	}
	closed(t, e)
}

func TestFailuresAreLogged(t *testing.T) {
	c := collect(t)
	c.status = http.StatusBadRequest
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"}))
	e := start(t, otlp.Config{Endpoint: c.url, Metrics: true, Traces: true, Gatherer: registry, Log: slog.New(slog.NewTextHandler(&log, nil))})
	e.Request(get())
	closed(t, e)
	for _, want := range []string{"metrics cannot be sent", "spans cannot be sent", "lost=1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, log.String())
		}
	}
}

func TestOnlyWhatIsOnIsSent(t *testing.T) {
	c := collect(t)
	e := start(t, otlp.Config{Endpoint: c.url})
	e.Request(get())
	if e.Sink() != nil {
		t.Error("there is a sink without logs")
	}
	closed(t, e)
	if len(c.bodies) != 0 {
		t.Errorf("messages came: %v", c.bodies)
	}
}

func TestEndpoints(t *testing.T) {
	for endpoint, ok := range map[string]bool{"": true, "http://c:4318": true, "https://c/x": true, "c:4318": false, "c": false, "ftp://c": false, "http://": false, "http://%zz": false} {
		e, err := otlp.New(t.Context(), otlp.Config{Endpoint: endpoint, Log: slog.New(slog.DiscardHandler)})
		if (err == nil) != ok || err != nil && !mediastore.IsKind(err, mediastore.KindInvalid) {
			t.Errorf("endpoint %q: %v", endpoint, err)
		}
		if err == nil {
			closed(t, e)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	c := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer c.Close()
	for name, test := range map[string]struct {
		traces bool
		parent string
	}{
		"off":        {false, ""},
		"sampled":    {true, ""},
		"notSampled": {true, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"},
	} {
		b.Run(name, func(b *testing.B) {
			e := start(b, otlp.Config{Endpoint: c.URL, Traces: test.traces})
			r := get()
			r.TraceParent = test.parent
			b.ReportAllocs()
			for b.Loop() {
				e.Request(r)
			}
			b.StopTimer()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = e.Close(ctx)
		})
	}
}
