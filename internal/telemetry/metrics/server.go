package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// answerMetrics count the answers of all edges.
type answerMetrics struct {
	answers *prometheus.CounterVec
	took    *prometheus.HistogramVec
}

func newAnswerMetrics(f factory) *answerMetrics {
	return &answerMetrics{
		answers: f.counters("headwater_http_requests_total", "Requests by edge (data, control, ...) and class of status; the code none is of requests whose client left before an answer began", "edge", "code"),
		took:    f.times("headwater_http_request_duration_seconds", "From the head of a request to the end of its answer", "edge"),
	}
}

// HTTP counts an answer: the name of the edge that gave it, of which there must
// be few, its status, 0 when it never began, and how long the request took in
// all.
func (m *Metrics) HTTP(edge string, status int, took time.Duration) {
	m.answers.answers.WithLabelValues(edge, class(status)).Inc()
	m.answers.took.WithLabelValues(edge).Observe(took.Seconds())
}

func class(status int) string {
	switch status / 100 {
	case 1:
		return "1xx"
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	default:
		return "none"
	}
}

// Uploads registers what is under way: how many uploads there may be at once, and
// functions that say how many there are and how many readers follow one. To be
// called once.
func (m *Metrics) Uploads(slots int, uploads, followers func() int) {
	f := m.more()
	f.gauge("headwater_upload_slots", "Uploads that may be under way at once").Set(float64(slots))
	f.read("headwater_uploads_in_flight", "Uploads under way", uploads)
	f.read("headwater_followers", "Readers that follow an upload under way", followers)
}

// sweeperMetrics are of the lifecycle rules.
type sweeperMetrics struct {
	objects, bytes, failures, looked *prometheus.CounterVec
	passes                           *prometheus.HistogramVec
}

func newSweeperMetrics(f factory) *sweeperMetrics {
	m := &sweeperMetrics{
		objects:  f.counters("headwater_sweeper_objects_total", "What lifecycle rules were carried out on: objects that were expired (rules in seconds), deleted (rules in days) or archived, and leftovers in the cold tier that were collected", "what"),
		bytes:    f.counters("headwater_sweeper_bytes_total", "Bytes of the objects that lifecycle rules were carried out on", "what"),
		failures: f.counters("headwater_sweeper_failures_total", "Steps of the sweeper that failed and are tried again", "what"),
		looked:   f.counters("headwater_sweeper_looked_at_total", "Objects that were held against a rule in complete passes", "what"),
		passes: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "headwater_sweeper_pass_duration_seconds",
			Help:    "Passes over all objects of a container, for the rules that delete or archive",
			Buckets: []float64{.01, .1, 1, 10, 60, 600, 3600, 4 * 3600, 24 * 3600},
		}, []string{"what"}),
	}
	for _, what := range []string{"expired", "deleted", "archived", "collected"} {
		m.objects.WithLabelValues(what)
		m.bytes.WithLabelValues(what)
		m.failures.WithLabelValues(what)
	}
	for _, what := range []string{"deleted", "archived"} {
		m.looked.WithLabelValues(what)
		m.passes.WithLabelValues(what)
	}
	return m
}

// Swept counts objects that were expired, deleted or archived, or leftovers that
// were collected, which is what, and their bytes as far as they are known.
func (m *Metrics) Swept(what string, objects int, bytes int64) {
	m.sweeper.objects.WithLabelValues(what).Add(float64(objects))
	m.sweeper.bytes.WithLabelValues(what).Add(float64(bytes))
}

// SweepFailed counts something that could not be done, and will be tried again.
func (m *Metrics) SweepFailed(what string) { m.sweeper.failures.WithLabelValues(what).Inc() }

// SweepPassed says that all objects of a container were held against the rules
// that delete, or those that archive, how long that took, and how many there were.
func (m *Metrics) SweepPassed(what string, took time.Duration, objects int) {
	m.sweeper.passes.WithLabelValues(what).Observe(took.Seconds())
	m.sweeper.looked.WithLabelValues(what).Add(float64(objects))
}

// Dropped counts records of the access log that were lost.
func (m *Metrics) Dropped(records int) { m.dropped.Add(float64(records)) }

// auditMetrics are of the audit log.
type auditMetrics struct{ records, errors prometheus.Counter }

func newAuditMetrics(f factory) *auditMetrics {
	return &auditMetrics{
		records: f.counter("headwater_audit_records_total", "Records of calls of the control plane that were due, written or not"),
		errors:  f.counter("headwater_audit_errors_total", "Records of calls of the control plane that could not be written"),
	}
}

// Audited counts a record of a call of the control plane, and what writing it
// came to.
func (m *Metrics) Audited(err error) {
	m.audit.records.Inc()
	if err != nil {
		m.audit.errors.Inc()
	}
}
