package cloudwatch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"

	"headwater/internal/event"
)

// Config is what Metrics needs.
type Config struct {
	// Namespace of the metrics, MediaStore when empty. Names that begin with AWS/
	// are kept for AWS itself.
	Namespace string
	Region    string        // of AWS; empty leaves it to the SDK's default chain
	Endpoint  string        // URL of CloudWatch; empty leaves it to the region
	Interval  time.Duration // between calls, a minute when zero: CloudWatch's own resolution
	Now       func() time.Time
	Log       *slog.Logger
}

// What is kept in memory at most.
const (
	// maxSeries bounds a tally. Policies allow more than anybody would pay
	// CloudWatch for; a request beyond it is not measured there.
	maxSeries = 5000
	// maxKept bounds what waits for a CloudWatch that cannot be reached, in bytes
	// of calls: some hours of a hundred series, or one minute of all that there may
	// be.
	maxKept = 32 << 20
)

// putter is what is used of the SDK's client.
type putter interface {
	PutMetricData(context.Context, *cloudwatch.PutMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.PutMetricDataOutput, error)
}

// Metrics counts requests and tells CloudWatch once an interval.
type Metrics struct {
	client    putter
	namespace string
	interval  time.Duration
	now       func() time.Time
	log       *slog.Logger
	lost      atomic.Uint64

	mu struct {
		sync.Mutex
		tally tally
	}
	sending struct {
		sync.Mutex
		queue []call // oldest first
	}
}

// tally is what happened since a moment.
type tally struct {
	since     time.Time
	series    map[dimensions]*series
	uncounted uint64 // requests that found no room among the series
}

// NewMetrics makes a Metrics, to which nothing is sent before Run. It returns a
// KindInvalid error when the SDK finds no region or cannot read its configuration.
func NewMetrics(ctx context.Context, cfg Config) (*Metrics, error) {
	sdk, err := load(ctx, cfg.Region)
	if err != nil {
		return nil, err
	}
	client := cloudwatch.NewFromConfig(sdk, func(o *cloudwatch.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
	})
	return newMetrics(client, cfg), nil
}

func newMetrics(client putter, cfg Config) *Metrics {
	m := &Metrics{client: client, namespace: cfg.Namespace, interval: cfg.Interval, now: cfg.Now, log: cfg.Log}
	if m.namespace == "" {
		m.namespace = "MediaStore"
	}
	if m.interval <= 0 {
		m.interval = time.Minute
	}
	m.take()
	return m
}

// Request counts a request in every group that it is in, and in its container.
// It is a listener: it never waits for CloudWatch.
func (m *Metrics) Request(r *event.Request) {
	for group := range r.Groups() {
		m.count(dimensions{r.Container, group, r.Operation}, r)
	}
}

func (m *Metrics) count(of dimensions, r *event.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.mu.tally
	s := t.series[of]
	switch {
	case s != nil:
	case len(t.series) < maxSeries:
		s = &series{}
		t.series[of] = s
	default:
		t.uncounted++
		return
	}
	s.add(r)
}

// take ends the tally and begins the next.
func (m *Metrics) take() tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	ended := m.mu.tally
	m.mu.tally = tally{since: m.now(), series: make(map[dimensions]*series, len(ended.series))}
	return ended
}

// Run sends, at every full interval of the clock, what has happened since the last
// one, until ctx ends. The data have the time at which their interval began: with
// an interval of a minute they lie in the minute that they are about.
//
// What cannot be sent is kept and sent with the next, in its own minute, up to
// some 32 MB; then the oldest is lost. So is what CloudWatch refuses as invalid.
// Both are logged.
func (m *Metrics) Run(ctx context.Context) {
	for m.wait(ctx) {
		flush, cancel := context.WithTimeout(ctx, m.interval/2) // or the next would be missed
		_ = m.flush(flush)                                      // is logged
		cancel()
	}
}

// wait reports false when ctx ended before the interval.
func (m *Metrics) wait(ctx context.Context) bool {
	now := m.now()
	timer := time.NewTimer(now.Truncate(m.interval).Add(m.interval).Sub(now))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Close sends what is left, for as long as ctx allows. What then remains is lost,
// and the error says why. It is called when Run has returned and there are no more
// requests.
func (m *Metrics) Close(ctx context.Context) error {
	err := m.flush(ctx)
	m.sending.Lock()
	defer m.sending.Unlock()
	m.discardLocked(len(m.sending.queue))
	return err
}

// Lost is how many data points, of one metric and one interval each, will never
// reach CloudWatch.
func (m *Metrics) Lost() uint64 { return m.lost.Load() }

// flush sends the interval and what waits from earlier ones, oldest first.
func (m *Metrics) flush(ctx context.Context) error {
	m.sending.Lock()
	defer m.sending.Unlock()
	m.sending.queue = append(m.sending.queue, split(m.data(m.take()))...)
	for len(m.sending.queue) > 0 {
		err := m.put(ctx, m.sending.queue[0])
		switch {
		case refused(err):
			m.log.Error("CloudWatch refuses metrics", "error", err, "lost", len(m.sending.queue[0].data))
			m.discardLocked(1)
		case err != nil:
			m.log.Warn("metrics cannot be sent to CloudWatch", "error", err, "calls_kept", len(m.sending.queue))
			m.trimLocked()
			return err
		default:
			m.sending.queue = m.sending.queue[1:]
		}
	}
	return nil
}

func (m *Metrics) data(t tally) []types.MetricDatum {
	if t.uncounted > 0 {
		m.log.Warn("there are too many groups of objects to measure all in CloudWatch", "series", len(t.series), "uncounted", t.uncounted)
	}
	var all []types.MetricDatum
	for of, s := range t.series {
		all = append(all, s.data(of, t.since)...)
	}
	return all
}

func (m *Metrics) put(ctx context.Context, c call) error {
	_, err := m.client.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: &m.namespace, MetricData: c.data})
	return err
}

// refused reports whether the call is wrong, and will be however often it is made.
func refused(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) &&
		(strings.HasPrefix(e.ErrorCode(), "InvalidParameter") || strings.HasPrefix(e.ErrorCode(), "MissingRequiredParameter"))
}

// trimLocked drops the oldest calls that there is no room for.
func (m *Metrics) trimLocked() {
	kept, first := 0, len(m.sending.queue)
	for first > 0 && kept+m.sending.queue[first-1].bytes <= maxKept {
		first--
		kept += m.sending.queue[first].bytes
	}
	if first > 0 {
		m.log.Error("metrics waited too long for CloudWatch", "calls_lost", first)
		m.discardLocked(first)
	}
}

// discardLocked drops the oldest n calls and counts their data as lost.
func (m *Metrics) discardLocked(n int) {
	for _, c := range m.sending.queue[:n] {
		m.lost.Add(uint64(len(c.data)))
	}
	m.sending.queue = m.sending.queue[n:]
}
