// Package metrics counts what the server does, for Prometheus: the metrics that
// MediaStore kept of containers with a metric policy, and the server's own.
//
// Others call its methods as listeners, or give it functions that it calls when
// somebody asks for the numbers. It must not know a protocol that the server
// speaks, an engine or a service; and who calls it need not know Prometheus, of
// which only Handler and Gatherer speak. net/http is here for Handler alone.
package metrics

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is all that is counted in one server. Its methods are safe for
// concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	contract *contractMetrics
	answers  *answerMetrics
	group    prometheus.Observer
	sweeper  *sweeperMetrics
	dropped  prometheus.Counter
	events   *eventMetrics
	audit    *auditMetrics
}

// Build says which program this is.
type Build struct {
	Version  string // as in v1.2.3
	Revision string // of the source, empty when that is not known
}

// New returns metrics in a registry of their own. No container is measured
// before SetPolicy says so.
func New(build Build) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	f := factory{promauto.With(r)}
	f.gauges("headwater_build_info", "Always 1: the labels say which program runs", "version", "revision", "goversion").
		WithLabelValues(build.Version, build.Revision, runtime.Version()).Set(1)
	return &Metrics{
		registry: r,
		contract: newContractMetrics(f),
		answers:  newAnswerMetrics(f),
		group:    newGroupMetric(f),
		sweeper:  newSweeperMetrics(f),
		dropped:  f.counter("headwater_accesslog_dropped_total", "Records of the access log that were lost because their destination failed or was too slow"),
		events:   newEventMetrics(f),
		audit:    newAuditMetrics(f),
	}
}

// Handler answers GET with all metrics, in the text format of Prometheus or
// OpenMetrics as the client asks, compressed if it likes. What cannot be
// gathered is left out.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling:     promhttp.ContinueOnError,
		Registry:          m.registry,
		EnableOpenMetrics: true,
	})
}

// Gatherer gives the metrics to an exporter.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// factory makes metrics that are registered.
type factory struct{ promauto.Factory }

// more makes metrics that join those of m.
func (m *Metrics) more() factory { return factory{promauto.With(m.registry)} }

func (f factory) counter(name, help string) prometheus.Counter {
	return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func (f factory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func (f factory) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

// read makes a gauge that is read when somebody asks.
func (f factory) read(name, help string, value func() int) {
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
}

// times makes histograms of seconds.
func (f factory) times(name, help string, labels ...string) *prometheus.HistogramVec {
	return f.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencies()}, labels)
}

// latencies are the upper bounds of the histograms of time, in seconds: from an
// answer out of memory to an upload over a bad line. A reader who follows an
// upload takes as long as a segment does, hence 2, 4 and 6.
func latencies() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 4, 6, 10, 30, 60}
}
