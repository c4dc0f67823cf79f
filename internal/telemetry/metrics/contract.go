package metrics

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"headwater/internal/event"
	"headwater/internal/mediastore"
	"headwater/internal/metricpolicy"
)

// contractMetrics are the metrics that MediaStore kept, one series for each
// request type of each group of a container.
//
// There are as many series as the metric policies ask for, and no more: at most
// containers × (rules + 1) × 5 of each metric, whatever is requested.
type contractMetrics struct {
	requests, errors4xx, errors5xx, uploaded, downloaded, throttles *prometheus.CounterVec
	total, turnaround                                               *prometheus.HistogramVec

	broken *prometheus.CounterVec

	mu struct {
		sync.RWMutex
		measured map[mediastore.ContainerName]groups
	}
}

// groups are what is measured in a container; the empty name is the container as
// a whole.
type groups map[metricpolicy.GroupName]*group

// group holds the series of a group by request type. A series is made at the
// first request that counts in it.
type group [len(requestTypes)]atomic.Pointer[series]

// requestTypes are the values of the label request_type.
var requestTypes = [...]string{"Put", "Get", "Describe", "Delete", "List"}

// indexOf returns the place of an operation in requestTypes.
func indexOf(o event.Operation) (int, bool) {
	for i, name := range requestTypes {
		if name == o.RequestType() {
			return i, true
		}
	}
	return 0, false
}

// series are the metrics of one request type in one group.
type series struct {
	requests, errors4xx, errors5xx, uploaded, downloaded, throttles prometheus.Counter
	total, turnaround                                               prometheus.Observer
}

func newContractMetrics(f factory) *contractMetrics {
	counters := func(name, help string) *prometheus.CounterVec {
		return f.counters(name, help, "container", "object_group", "request_type")
	}
	times := func(name, help string) *prometheus.HistogramVec {
		return f.times(name, help, "container", "object_group", "request_type")
	}
	m := &contractMetrics{
		requests:   counters("mediastore_requests_total", "RequestCount of MediaStore: requests"),
		errors4xx:  counters("mediastore_4xx_errors_total", "4xxErrorCount of MediaStore: requests that were answered with a status of 400 to 499"),
		errors5xx:  counters("mediastore_5xx_errors_total", "5xxErrorCount of MediaStore: requests that were answered with a status of 500 to 599"),
		uploaded:   counters("mediastore_bytes_uploaded_total", "BytesUploaded of MediaStore: bytes of the requests' bodies"),
		downloaded: counters("mediastore_bytes_downloaded_total", "BytesDownloaded of MediaStore: bytes of the answers' bodies"),
		throttles:  counters("mediastore_throttles_total", "ThrottleCount of MediaStore: requests that were answered with status 429"),
		total:      times("mediastore_total_time_seconds", "TotalTime of MediaStore, in seconds: from the request to the last byte of the answer"),
		turnaround: times("mediastore_turnaround_time_seconds", "TurnaroundTime of MediaStore, in seconds: from the last byte of the request to the first byte of the answer"),
		broken:     f.counters("headwater_broken_answers_total", "Answers of the data plane that began well, with a status below 400, and broke off", "error_code"),
	}
	m.mu.measured = make(map[mediastore.ContainerName]groups)
	return m
}

// SetPolicy says what is measured in a container from now on: nothing when the
// policy is nil, as that of a container that is gone. Series of groups that the
// policy does not have vanish, those that it has count on.
//
// It must be told the policy of every container at the start and of each change;
// a request with another policy in hand, because it came before the change,
// counts only where this one measures too.
func (m *Metrics) SetPolicy(container mediastore.ContainerName, policy *metricpolicy.Policy) {
	c := m.contract
	c.mu.Lock()
	defer c.mu.Unlock()
	old, now := c.mu.measured[container], measured(policy)
	for name, g := range old {
		if _, still := now[name]; still {
			now[name] = g
		} else {
			c.forget(container, name)
		}
	}
	if len(now) == 0 {
		delete(c.mu.measured, container)
	} else {
		c.mu.measured[container] = now
	}
}

// measured returns the groups of a policy, without any series.
func measured(policy *metricpolicy.Policy) groups {
	all := make(groups)
	if policy == nil {
		return all
	}
	if policy.ContainerLevel() {
		all[""] = new(group)
	}
	for name := range policy.Names() {
		all[name] = new(group)
	}
	return all
}

func (c *contractMetrics) forget(container mediastore.ContainerName, name metricpolicy.GroupName) {
	for _, requestType := range requestTypes {
		labels := []string{string(container), string(name), requestType}
		for _, counter := range []*prometheus.CounterVec{c.requests, c.errors4xx, c.errors5xx, c.uploaded, c.downloaded, c.throttles} {
			counter.DeleteLabelValues(labels...)
		}
		c.total.DeleteLabelValues(labels...)
		c.turnaround.DeleteLabelValues(labels...)
	}
}

// Request counts a request to the data plane, as a listener that is told after
// the answer.
func (m *Metrics) Request(r *event.Request) {
	c := m.contract
	if r.ErrorCode != "" && r.Status < http.StatusBadRequest {
		c.broken.WithLabelValues(r.ErrorCode).Inc()
	}
	i, ok := indexOf(r.Operation)
	if !ok || r.Metrics == nil {
		return
	}
	// The lock is held until all is counted: a series that is made meanwhile would
	// otherwise outlive the SetPolicy that ends its group.
	c.mu.RLock()
	defer c.mu.RUnlock()
	groups := c.mu.measured[r.Container]
	for name := range r.Groups() {
		if g := groups[name]; g != nil {
			c.seriesOf(&g[i], r.Container, name, requestTypes[i]).count(r)
		}
	}
}

// seriesOf returns the series at a place, made if need be. Of two who make it at
// once, both make the same.
func (c *contractMetrics) seriesOf(place *atomic.Pointer[series], container mediastore.ContainerName, name metricpolicy.GroupName, requestType string) *series {
	if s := place.Load(); s != nil {
		return s
	}
	labels := []string{string(container), string(name), requestType}
	s := &series{
		requests:   c.requests.WithLabelValues(labels...),
		errors4xx:  c.errors4xx.WithLabelValues(labels...),
		errors5xx:  c.errors5xx.WithLabelValues(labels...),
		uploaded:   c.uploaded.WithLabelValues(labels...),
		downloaded: c.downloaded.WithLabelValues(labels...),
		throttles:  c.throttles.WithLabelValues(labels...),
		total:      c.total.WithLabelValues(labels...),
		turnaround: c.turnaround.WithLabelValues(labels...),
	}
	place.Store(s)
	return s
}

func (s *series) count(r *event.Request) {
	s.requests.Inc()
	switch r.Status / 100 {
	case 4:
		s.errors4xx.Inc()
	case 5:
		s.errors5xx.Inc()
	}
	if r.Status == http.StatusTooManyRequests {
		s.throttles.Inc()
	}
	s.uploaded.Add(float64(r.BytesReceived))
	s.downloaded.Add(float64(r.BytesSent))
	s.total.Observe(r.TotalTime().Seconds())
	s.turnaround.Observe(r.TurnaroundTime().Seconds())
}
