package metrics_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"headwater/internal/event"
	"headwater/internal/metricpolicy"
	"headwater/internal/telemetry/metrics"
)

func newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Build{Version: "v1.2.3", Revision: "abc"})
}

func mustParse(t testing.TB, text string) *metricpolicy.Policy {
	t.Helper()
	p, err := metricpolicy.Parse([]byte(text), metricpolicy.MaxRules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	onlyContainer = `{"ContainerLevelMetrics":"ENABLED"}`
	segments      = `{"ContainerLevelMetrics":"ENABLED","MetricPolicyRules":[{"ObjectGroup":"*.ts","ObjectGroupName":"segments"},{"ObjectGroup":"sports","ObjectGroupName":"sports"}]}`
	onlySports    = `{"ContainerLevelMetrics":"DISABLED","MetricPolicyRules":[{"ObjectGroup":"sports","ObjectGroupName":"sports"}]}`
)

// get is a GetObject that took 1.5 s in all and 1/32 s to begin.
func get(p *metricpolicy.Policy, path string) *event.Request {
	came := time.Date(2026, 6, 1, 20, 0, 0, 0, time.UTC)
	return &event.Request{
		Operation: event.GetObject, Container: "live", Metrics: p, Path: path, Status: 200, BytesSent: 1000,
		Received: came, BodyRead: came, FirstByte: came.Add(time.Second / 32), LastByte: came.Add(1500 * time.Millisecond),
	}
}

// gather returns the value of every series whose name has the prefix: of a
// histogram its count and sum.
func gather(t *testing.T, m *metrics.Metrics, prefix string) map[string]float64 {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) {
			continue
		}
		for _, s := range f.Metric {
			name := f.GetName() + labelsOf(s)
			if h := s.Histogram; h != nil {
				got[name+" count"], got[name+" sum"] = float64(h.GetSampleCount()), h.GetSampleSum()
			} else {
				got[name] = s.GetCounter().GetValue() + s.GetGauge().GetValue()
			}
		}
	}
	return got
}

func labelsOf(s *dto.Metric) string {
	var values []string
	for _, l := range s.Label {
		values = append(values, l.GetName()+"="+l.GetValue())
	}
	return "{" + strings.Join(values, ",") + "}"
}

func check(t *testing.T, m *metrics.Metrics, prefix string, want map[string]float64) {
	t.Helper()
	if diff := cmp.Diff(want, gather(t, m, prefix)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", prefix, diff)
	}
}

func TestRequestCountsTheEightMetrics(t *testing.T) {
	m, p := newMetrics(), mustParse(t, onlyContainer)
	m.SetPolicy("live", p)
	for _, status := range []int{200, 206, 304, 404, 429, 503} {
		r := get(p, "a")
		r.Status, r.BytesReceived = status, 10
		m.Request(r)
	}
	const labels = "{container=live,object_group=,request_type=Get}"
	check(t, m, "mediastore_", map[string]float64{
		"mediastore_requests_total" + labels:                     6,
		"mediastore_4xx_errors_total" + labels:                   2,
		"mediastore_5xx_errors_total" + labels:                   1,
		"mediastore_throttles_total" + labels:                    1,
		"mediastore_bytes_uploaded_total" + labels:               60,
		"mediastore_bytes_downloaded_total" + labels:             6000,
		"mediastore_total_time_seconds" + labels + " count":      6,
		"mediastore_total_time_seconds" + labels + " sum":        9,
		"mediastore_turnaround_time_seconds" + labels + " count": 6,
		"mediastore_turnaround_time_seconds" + labels + " sum":   0.1875,
	})
}

func TestRequestCountsInEveryGroup(t *testing.T) {
	m, p := newMetrics(), mustParse(t, segments)
	m.SetPolicy("live", p)
	m.Request(get(p, "sports/a.ts"))
	m.Request(get(p, "news/a.ts"))
	put := get(p, "sports/index.m3u8")
	put.Operation = event.PutObject
	m.Request(put)
	check(t, m, "mediastore_requests_total", map[string]float64{
		"mediastore_requests_total{container=live,object_group=,request_type=Get}":         2,
		"mediastore_requests_total{container=live,object_group=segments,request_type=Get}": 2,
		"mediastore_requests_total{container=live,object_group=sports,request_type=Get}":   1,
		"mediastore_requests_total{container=live,object_group=,request_type=Put}":         1,
		"mediastore_requests_total{container=live,object_group=sports,request_type=Put}":   1,
	})
}

func TestWhatCountsInNoGroup(t *testing.T) {
	m, p := newMetrics(), mustParse(t, onlySports)
	m.SetPolicy("live", p)
	m.Request(get(p, "news/a.ts"))
	m.Request(get(nil, "sports/a.ts"))
	preflight := get(p, "sports/a.ts")
	preflight.Operation = ""
	m.Request(preflight)
	elsewhere := get(p, "sports/a.ts")
	elsewhere.Container = "other"
	m.Request(elsewhere)
	check(t, m, "mediastore_", map[string]float64{})
}

func TestEveryRequestType(t *testing.T) {
	m, p := newMetrics(), mustParse(t, onlyContainer)
	m.SetPolicy("live", p)
	want := make(map[string]float64)
	for _, o := range []event.Operation{event.PutObject, event.GetObject, event.DescribeObject, event.DeleteObject, event.ListItems} {
		r := get(p, "a")
		r.Operation = o
		m.Request(r)
		want["mediastore_requests_total{container=live,object_group=,request_type="+o.RequestType()+"}"] = 1
	}
	check(t, m, "mediastore_requests_total", want)
}

func TestSetPolicyEndsSeries(t *testing.T) {
	m, before := newMetrics(), mustParse(t, segments)
	m.SetPolicy("live", before)
	m.SetPolicy("other", before)
	other := get(before, "a.ts")
	other.Container = "other"
	m.Request(other)
	m.Request(get(before, "sports/a.ts"))
	kept := map[string]float64{
		"mediastore_requests_total{container=other,object_group=,request_type=Get}":         1,
		"mediastore_requests_total{container=other,object_group=segments,request_type=Get}": 1,
		"mediastore_requests_total{container=live,object_group=sports,request_type=Get}":    1,
	}
	m.SetPolicy("live", mustParse(t, onlySports))
	check(t, m, "mediastore_requests_total", kept)

	m.Request(get(before, "sports/a.ts")) // came before the change
	kept["mediastore_requests_total{container=live,object_group=sports,request_type=Get}"] = 2
	check(t, m, "mediastore_requests_total", kept)

	m.SetPolicy("live", nil)
	m.Request(get(before, "sports/a.ts"))
	delete(kept, "mediastore_requests_total{container=live,object_group=sports,request_type=Get}")
	check(t, m, "mediastore_requests_total", kept)

	m.SetPolicy("other", nil)
	check(t, m, "mediastore_", map[string]float64{})
}

// TestLateRequestsAreOfNoConsequence lets requests and changes of policy race:
// after the last change nothing is left.
func TestLateRequestsAreOfNoConsequence(t *testing.T) {
	m, p := newMetrics(), mustParse(t, segments)
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for range 500 {
				m.Request(get(p, "sports/a.ts"))
			}
		})
	}
	for range 100 {
		m.SetPolicy("live", p)
		m.SetPolicy("live", nil)
	}
	check(t, m, "mediastore_", map[string]float64{})
	done.Wait()
	check(t, m, "mediastore_", map[string]float64{})
}

func TestBrokenAnswers(t *testing.T) {
	m := newMetrics()
	for _, r := range []event.Request{
		{Status: 200, ErrorCode: "ClientDisconnected"},
		{Status: 206, ErrorCode: "InternalServerError"},
		{Status: 500, ErrorCode: "InternalServerError"},
		{Status: 200},
	} {
		m.Request(&r)
	}
	check(t, m, "headwater_broken_", map[string]float64{
		"headwater_broken_answers_total{error_code=ClientDisconnected}":  1,
		"headwater_broken_answers_total{error_code=InternalServerError}": 1,
	})
}

func TestHTTP(t *testing.T) {
	m := newMetrics()
	for _, status := range []int{0, 101, 200, 204, 304, 404, 503, 999} {
		m.HTTP("data", status, 250*time.Millisecond)
	}
	m.HTTP("control", 200, time.Second)
	check(t, m, "headwater_http_", map[string]float64{
		"headwater_http_requests_total{code=none,edge=data}":          2,
		"headwater_http_requests_total{code=1xx,edge=data}":           1,
		"headwater_http_requests_total{code=2xx,edge=data}":           2,
		"headwater_http_requests_total{code=3xx,edge=data}":           1,
		"headwater_http_requests_total{code=4xx,edge=data}":           1,
		"headwater_http_requests_total{code=5xx,edge=data}":           1,
		"headwater_http_requests_total{code=2xx,edge=control}":        1,
		"headwater_http_request_duration_seconds{edge=data} count":    8,
		"headwater_http_request_duration_seconds{edge=data} sum":      2,
		"headwater_http_request_duration_seconds{edge=control} count": 1,
		"headwater_http_request_duration_seconds{edge=control} sum":   1,
	})
}

func TestUploadsAndEngine(t *testing.T) {
	m, uploads, asked := newMetrics(), 3, 0
	m.Uploads(1000, func() int { return uploads }, func() int { return 40 })
	m.Engine(func() metrics.EngineStats {
		asked++
		return metrics.EngineStats{Writable: true, DiskSize: 100, DiskFree: 60, Volumes: 5, OpenVolumes: 2, LiveBytes: 20, IndexMemory: 7, IndexDebt: 8, IndexLogBytes: 9, IndexCacheHits: 10, IndexCacheMisses: 11}
	})
	m.Group(1)
	m.Group(17)
	check(t, m, "headwater_upload", map[string]float64{"headwater_upload_slots{}": 1000, "headwater_uploads_in_flight{}": 3})
	uploads = 4
	check(t, m, "headwater_uploads", map[string]float64{"headwater_uploads_in_flight{}": 4})
	check(t, m, "headwater_followers", map[string]float64{"headwater_followers{}": 40})
	before := asked
	check(t, m, "headwater_engine_", map[string]float64{
		"headwater_engine_writable{}": 1, "headwater_engine_disk_size_bytes{}": 100, "headwater_engine_disk_free_bytes{}": 60,
		"headwater_engine_volumes{}": 5, "headwater_engine_open_volumes{}": 2, "headwater_engine_live_bytes{}": 20,
		"headwater_engine_index_memory_bytes{}": 7, "headwater_engine_index_debt_bytes{}": 8, "headwater_engine_index_log_bytes_total{}": 9,
		"headwater_engine_index_cache_hits_total{}": 10, "headwater_engine_index_cache_misses_total{}": 11,
		"headwater_engine_group_operations{} count": 2, "headwater_engine_group_operations{} sum": 18,
	})
	if asked != before+1 {
		t.Errorf("the engine was asked %d times at once", asked-before)
	}
}

func TestSweeper(t *testing.T) {
	m := newMetrics()
	m.Swept("expired", 2, 300)
	m.Swept("expired", 1, 50)
	m.Swept("archived", 1, 7)
	m.SweepFailed("archived")
	m.SweepPassed("deleted", 2*time.Second, 1000)
	m.SweepPassed("deleted", time.Second, 10)
	check(t, m, "headwater_sweeper_objects", map[string]float64{
		"headwater_sweeper_objects_total{what=expired}":   3,
		"headwater_sweeper_objects_total{what=deleted}":   0,
		"headwater_sweeper_objects_total{what=archived}":  1,
		"headwater_sweeper_objects_total{what=collected}": 0,
	})
	check(t, m, "headwater_sweeper_bytes", map[string]float64{
		"headwater_sweeper_bytes_total{what=expired}":   350,
		"headwater_sweeper_bytes_total{what=deleted}":   0,
		"headwater_sweeper_bytes_total{what=archived}":  7,
		"headwater_sweeper_bytes_total{what=collected}": 0,
	})
	check(t, m, "headwater_sweeper_failures", map[string]float64{
		"headwater_sweeper_failures_total{what=expired}":   0,
		"headwater_sweeper_failures_total{what=deleted}":   0,
		"headwater_sweeper_failures_total{what=archived}":  1,
		"headwater_sweeper_failures_total{what=collected}": 0,
	})
	check(t, m, "headwater_sweeper_looked", map[string]float64{
		"headwater_sweeper_looked_at_total{what=deleted}":  1010,
		"headwater_sweeper_looked_at_total{what=archived}": 0,
	})
	check(t, m, "headwater_sweeper_pass", map[string]float64{
		"headwater_sweeper_pass_duration_seconds{what=deleted} count":  2,
		"headwater_sweeper_pass_duration_seconds{what=deleted} sum":    3,
		"headwater_sweeper_pass_duration_seconds{what=archived} count": 0,
		"headwater_sweeper_pass_duration_seconds{what=archived} sum":   0,
	})
}

func TestLogsAndEvents(t *testing.T) {
	m := newMetrics()
	m.Dropped(12)
	m.Audited(nil)
	m.Audited(errors.New("disk"))
	check(t, m, "headwater_a", map[string]float64{
		"headwater_accesslog_dropped_total{}": 12, "headwater_audit_records_total{}": 2, "headwater_audit_errors_total{}": 1,
	})
	first := m.EventSink("eventbridge", func() int { return 9 }, "too old", "refused")
	m.EventSink("webhook 1", func() int { return 0 })
	first.Delivered(10)
	first.Retried()
	first.Dropped("too old", 4)
	check(t, m, "headwater_events_", map[string]float64{
		"headwater_events_delivered_total{sink=eventbridge}": 10, "headwater_events_delivered_total{sink=webhook 1}": 0,
		"headwater_events_retried_total{sink=eventbridge}": 1, "headwater_events_retried_total{sink=webhook 1}": 0,
		"headwater_events_dropped_total{reason=too old,sink=eventbridge}": 4, "headwater_events_dropped_total{reason=refused,sink=eventbridge}": 0,
		"headwater_events_backlog{sink=eventbridge}": 9, "headwater_events_backlog{sink=webhook 1}": 0,
	})
}

func TestHandler(t *testing.T) {
	m := newMetrics()
	for _, test := range []struct{ accept, encoding, contentType, holds string }{
		{"", "", "text/plain; version=0.0.4", `headwater_build_info{goversion="go`},
		{"", "gzip", "text/plain; version=0.0.4", `revision="abc",version="v1.2.3"} 1`},
		{"application/openmetrics-text; version=1.0.0", "", "application/openmetrics-text; version=1.0.0", "# EOF"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/-/metrics", nil)
		r.Header.Set("Accept", test.accept)
		r.Header.Set("Accept-Encoding", test.encoding)
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, r)
		var body io.Reader = w.Body
		if got := w.Header().Get("Content-Encoding"); got != test.encoding {
			t.Errorf("%+v: Content-Encoding %q", test, got)
		} else if got == "gzip" {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		text, err := io.ReadAll(body)
		if err != nil || w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), test.contentType) || !strings.Contains(string(text), test.holds) {
			t.Errorf("%+v: %d %s %v\n%s", test, w.Code, w.Header().Get("Content-Type"), err, text)
		}
	}
}

func TestTheRuntimeIsThere(t *testing.T) {
	m := newMetrics()
	for _, name := range []string{"go_goroutines", "process_open_fds", "process_start_time_seconds"} {
		if got := gather(t, m, name); got[name+"{}"] <= 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheHotPathDoesNotAllocate(t *testing.T) {
	m, p := newMetrics(), mustParse(t, segments)
	m.SetPolicy("live", p)
	r := get(p, "sports/a.ts")
	if n := testing.AllocsPerRun(100, func() { m.Request(r) }); n != 0 {
		t.Errorf("Request: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { m.HTTP("data", 200, time.Second) }); n != 0 {
		t.Errorf("HTTP: %v allocations", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, groups := range []int{0, 1, 5} {
		b.Run(fmt.Sprint(groups, " groups"), func(b *testing.B) {
			text := onlyContainer
			if groups > 0 {
				var rules []string
				for i := range groups {
					rules = append(rules, fmt.Sprintf(`{"ObjectGroup":"*.ts","ObjectGroupName":"g%d"}`, i))
				}
				text = `{"ContainerLevelMetrics":"ENABLED","MetricPolicyRules":[` + strings.Join(rules, ",") + `]}`
			}
			m, p := newMetrics(), mustParse(b, text)
			m.SetPolicy("live", p)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := get(p, "sports/final/hd/segment_000123.ts")
				for pb.Next() {
					m.Request(r)
				}
			})
		})
	}
}
