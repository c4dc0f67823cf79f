package loadtest

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// kind is what is measured apart.
type kind int

const (
	putSegment kind = iota
	putManifest
	getManifest
	getSegment
	followSegment
	followChunk
	deleteSegment
	kinds int = iota
)

// String returns the name that the report has.
func (k kind) String() string {
	return [kinds]string{"put segment", "put manifest", "get manifest", "get segment", "follow segment", "follow chunk", "delete segment"}[k]
}

// recorder keeps what was measured. It is safe for concurrent use.
type recorder struct {
	now     func() time.Time
	tallies [kinds]tally

	published atomic.Int64 // segments that were stored
	missed    atomic.Int64 // segments that were due and were not
	skipped   atomic.Int64 // segments that a reader came too late for
	late      atomic.Int64 // manifests that were older than they should be
	early     atomic.Int64 // 404 of a segment whose upload had begun

	mu struct {
		sync.Mutex
		begun time.Time // zero until the run begins
		shown sample    // what progress has told of
	}
}

// tally is what is kept of one kind. Only successes have a latency.
type tally struct {
	latency histogram
	bytes   atomic.Int64
	errors  atomic.Int64

	mu struct {
		sync.Mutex
		byLabel map[string]*ErrorReport
	}
}

// maxLabels bounds how many errors are told apart, and maxExample how much of
// the first of each is kept: a server can answer anything.
const (
	maxLabels  = 20
	maxExample = 200
	otherLabel = "other"
)

func newRecorder(now func() time.Time) *recorder { return &recorder{now: now} }

func (r *recorder) begin() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.begun = r.now()
	r.mu.shown = sample{at: r.mu.begun}
	return r.mu.begun
}

// done records a request that began at since and ended now, with err or without.
func (r *recorder) done(k kind, since time.Time, err error) {
	if err != nil {
		r.tallies[k].fail(err)
		return
	}
	r.tallies[k].latency.Add(r.now().Sub(since))
}

func (t *tally) fail(err error) {
	t.errors.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.byLabel == nil {
		t.mu.byLabel = map[string]*ErrorReport{}
	}
	label := labelOf(err)
	if len(t.mu.byLabel) >= maxLabels && t.mu.byLabel[label] == nil {
		label = otherLabel
	}
	e := t.mu.byLabel[label]
	if e == nil {
		e = &ErrorReport{What: label, First: printable(err.Error())}
		t.mu.byLabel[label] = e
	}
	e.Count++
}

// sample is how much was done at one moment, all kinds together.
type sample struct {
	at      time.Time
	latency counts
	bytes   int64
	errors  int64
}

func (r *recorder) sample(at time.Time) sample {
	s := sample{at: at}
	for k := range r.tallies {
		t := &r.tallies[k]
		if kind(k) != followChunk { // it is no request
			t.latency.addTo(&s.latency)
		}
		s.bytes += t.bytes.Load()
		s.errors += t.errors.Load()
	}
	return s
}

func (r *recorder) progress() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.begun.IsZero() {
		return Progress{}
	}
	now := r.sample(r.now())
	last := r.mu.shown
	r.mu.shown = now
	span := now.at.Sub(last.at)
	fresh := now.latency.since(&last.latency)
	return Progress{
		Elapsed:  now.at.Sub(r.mu.begun),
		Requests: rate(int64(fresh.total), span),
		Bytes:    rate(now.bytes-last.bytes, span),
		Errors:   now.errors,
		P99:      fresh.quantile(0.99),
	}
}

// rate returns n per second.
func rate(n int64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(n) / in.Seconds()
}

func (r *recorder) report(ended time.Time) *Report {
	r.mu.Lock()
	elapsed := ended.Sub(r.mu.begun)
	r.mu.Unlock()
	report := &Report{
		Seconds: elapsed.Seconds(), Published: r.published.Load(), Missed: r.missed.Load(),
		Skipped: r.skipped.Load(), Late: r.late.Load(), Early: r.early.Load(),
	}
	for k := range r.tallies {
		if row := r.tallies[k].report(elapsed); row.Count+row.Errors > 0 {
			row.Kind = kind(k).String()
			report.Kinds = append(report.Kinds, row)
		}
	}
	return report
}

func (t *tally) report(elapsed time.Duration) KindReport {
	var c counts
	t.latency.addTo(&c)
	row := KindReport{
		Count: int64(c.total), Errors: t.errors.Load(),
		PerSecond: rate(int64(c.total), elapsed), BytesPerSecond: rate(t.bytes.Load(), elapsed),
		P50: millis(c.quantile(0.5)), P90: millis(c.quantile(0.9)), P99: millis(c.quantile(0.99)),
		P999: millis(c.quantile(0.999)), Max: millis(c.max),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, label := range slices.Sorted(maps.Keys(t.mu.byLabel)) {
		row.ByError = append(row.ByError, *t.mu.byLabel[label])
	}
	slices.SortStableFunc(row.ByError, func(a, b ErrorReport) int { return cmp.Compare(b.Count, a.Count) })
	return row
}
