package cloudwatch

import (
	"math"
	"time"
)

// The bins of a histogram. The first is for what is shorter than shortest; the
// second begins there, and every further one begins at step times the one before,
// so that the last begins at about an hour. CloudWatch takes no more distinct
// values in one datum than there are bins.
const (
	bins     = 150
	shortest = 50 * time.Microsecond
	step     = 1.13
)

// histogram counts durations. Each bin has the exact sum of what it counts and is
// told by its mean: sums and averages are exact, and a percentile is off by less
// than the width of a bin, 13 %.
type histogram [bins]struct {
	count uint32
	sum   time.Duration
}

func (h *histogram) add(d time.Duration) {
	bin := &h[binOf(d)]
	bin.count++
	bin.sum += max(0, d)
}

func binOf(d time.Duration) int {
	if d < shortest {
		return 0
	}
	return min(bins-1, 1+int(math.Log(float64(d)/float64(shortest))/math.Log(step)))
}

// milliseconds returns the values of the histogram and how often each occurred.
func (h *histogram) milliseconds() (values, counts []float64) {
	for i := range h {
		if n := float64(h[i].count); n > 0 {
			values = append(values, float64(h[i].sum)/n/float64(time.Millisecond))
			counts = append(counts, n)
		}
	}
	return values, counts
}
