package loadtest

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram counts durations in microseconds in buckets that double in width
// every halfBuckets: a bucket is at most 1/64 of its own values wide. What takes
// longer than maxMicros counts as that long.
const (
	halfBuckets = 64
	maxMicros   = 1<<32 - 1 // 71 minutes
	buckets     = (32 - 6 + 1) * halfBuckets
)

// histogram is safe for concurrent use and needs no lock.
type histogram struct {
	counts [buckets]atomic.Uint64
	max    atomic.Int64 // exact, in nanoseconds
}

// Add counts d.
func (h *histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)].Add(1)
	for {
		old := h.max.Load()
		if int64(d) <= old || h.max.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// bucketOf returns the bucket of d. The values below 2·halfBuckets have one each.
// For those above, shift is how many low bits do not matter.
func bucketOf(d time.Duration) int {
	v := uint64(min(d.Microseconds(), maxMicros))
	shift := max(bits.Len64(v)-7, 0)
	return shift*halfBuckets + int(v>>shift)
}

// highest returns the longest duration in a bucket.
func highest(bucket int) time.Duration {
	shift := max(bucket/halfBuckets-1, 0)
	top := uint64(bucket-shift*halfBuckets) + 1
	return time.Duration(top<<shift)*time.Microsecond - 1
}

// counts are those of a histogram at one moment.
type counts struct {
	in    [buckets]uint64
	total uint64
	max   time.Duration
}

// addTo adds what h has counted so far to c.
func (h *histogram) addTo(c *counts) {
	for i := range h.counts {
		n := h.counts[i].Load()
		c.in[i] += n
		c.total += n
	}
	c.max = max(c.max, time.Duration(h.max.Load()))
}

// since returns what was counted after old. Its max is that of c.
func (c *counts) since(old *counts) *counts {
	diff := &counts{total: c.total - old.total, max: c.max}
	for i := range c.in {
		diff.in[i] = c.in[i] - old.in[i]
	}
	return diff
}

// quantile returns a duration that the share q of all did not exceed, at most
// 1/64 above the lowest such. It is 0 when nothing was counted.
func (c *counts) quantile(q float64) time.Duration {
	rank := uint64(q * float64(c.total))
	if float64(rank) < q*float64(c.total) {
		rank++
	}
	var seen uint64
	for i, n := range c.in {
		seen += n
		if n > 0 && seen >= rank {
			return min(highest(i), c.max)
		}
	}
	return 0
}
