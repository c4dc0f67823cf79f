// Package loadtest loads a container with what live channels do to it, and
// measures how it takes that: publishers store segments and overwrite manifests
// on a schedule, readers poll the manifests and fetch what is new.
//
// It must not know the server other than by its wire, nor how requests are
// signed: what it measures here it measures of any server that speaks
// MediaStore's data plane. Its memory does not grow with the length of a run or
// with how slow the server is.
//
// Where to look: stream.go has what publisher and readers of a rendition share,
// publisher.go and reader.go the two sides, segment.go and manifest.go what goes
// over the wire and how it is checked, wire.go the requests, recorder.go and
// histogram.go what is kept of them, report.go what is told.
package loadtest

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Config says what to do. All fields without "may be" are required.
type Config struct {
	Endpoint string // the container's address on the data plane, "http://host:port/<id>"
	Folder   string // below which everything is stored; no other run may use it

	Channels   int // at least 1
	Renditions int // per channel, at least 1
	Readers    int // per rendition, may be 0

	Segment     time.Duration // duration of a segment's content, at least 1 ms
	SegmentSize int64         // in bytes; may be 0: by the ladder of bit rates
	Chunked     bool          // upload segments while they last; readers follow the upload
	Part        time.Duration // duration of a chunk, when Chunked
	Window      int           // segments in a manifest, at least 1
	KeepOld     bool          // delete nothing during the run: something else does

	Duration time.Duration // of the run
	Speed    float64       // how much faster than life; 0 is as fast as answers come
	Timeout  time.Duration // of one request, beside the time that it lasts by plan

	Seed      uint64                    // of the segments' content
	Authorize func(*http.Request) error // adds what lets a request in
	Transport http.RoundTripper
	Now       func() time.Time
}

// Test is a load test.
type Test struct {
	config   Config
	client   *client
	recorder *recorder
	streams  []*stream
}

// New prepares a test.
func New(config Config) *Test {
	t := &Test{config: config, recorder: newRecorder(config.Now)}
	t.client = &client{config: &t.config, recorder: t.recorder, http: &http.Client{
		Transport:     config.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	pattern := newPattern(config.Seed)
	for channel := range config.Channels {
		for rendition := range config.Renditions {
			t.streams = append(t.streams, newStream(t, pattern, channel, rendition))
		}
	}
	return t
}

// Run loads the container until the duration has passed or ctx ends, then deletes
// what it stored, and reports. It can be run once. When the duration has passed,
// requests under way are waited for, each by its own deadline; when ctx ends they
// are broken off and not counted.
func (t *Test) Run(ctx context.Context) *Report {
	begin := t.recorder.begin()
	soft, cancel := context.WithTimeout(ctx, t.config.Duration)
	defer cancel()
	var running sync.WaitGroup
	for _, s := range t.streams {
		s.begin = begin.Add(s.phase())
		running.Go(func() { s.publish(ctx, soft) })
		for i := range t.config.Readers {
			running.Go(func() { s.read(ctx, soft, i) })
		}
	}
	running.Wait()
	ended := t.config.Now()
	report := t.recorder.report(ended)
	report.Leftovers = t.clean(context.WithoutCancel(ctx))
	report.judge(t.config.Speed > 0)
	return report
}

// cleanTime bounds the tidying up after a run.
const cleanTime = 30 * time.Second

// clean deletes what the run stored and returns how many objects may be left.
func (t *Test) clean(ctx context.Context) int64 {
	ctx, cancel := context.WithTimeout(ctx, cleanTime)
	defer cancel()
	var running sync.WaitGroup
	left := make([]int64, len(t.streams))
	for i, s := range t.streams {
		running.Go(func() { left[i] = s.clean(ctx) })
	}
	running.Wait()
	var sum int64
	for _, n := range left {
		sum += n
	}
	return sum
}

// Progress tells how far the run is. It may be called at any time, also while Run
// runs; the rates and the percentile are of the time since the last call.
func (t *Test) Progress() Progress { return t.recorder.progress() }

// sleepUntil waits for a moment and reports whether ctx has not ended.
func (t *Test) sleepUntil(ctx context.Context, moment time.Time) bool {
	return t.sleep(ctx, moment.Sub(t.config.Now()))
}

func (t *Test) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
