package loadtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestEveryBucketEndsWhereTheNextBegins(t *testing.T) {
	for b := range buckets - 1 {
		end := highest(b)
		if bucketOf(end) != b || bucketOf(end+1) != b+1 {
			t.Fatalf("bucket %d ends at %v, which is in %d, before one in %d", b, end, bucketOf(end), bucketOf(end+1))
		}
	}
	for d, want := range map[time.Duration]int{0: 0, 999: 0, time.Microsecond: 1, math.MaxInt64: buckets - 1} {
		if got := bucketOf(d); got != want {
			t.Errorf("%v is in bucket %d, want %d", d, got, want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 99, 10_000} {
		var h histogram
		var all []time.Duration
		for range n {
			d := time.Duration(math.Exp(random.Float64()*25)) * time.Nanosecond
			h.Add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		var c counts
		h.addTo(&c)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			exact := all[max(int(math.Ceil(q*float64(n)))-1, 0)]
			if got := c.quantile(q); got < exact || got > exact+exact/64+time.Microsecond {
				t.Errorf("quantile %v of %d is %v, want %v", q, n, got, exact)
			}
		}
		if c.max != all[n-1] || c.total != uint64(n) {
			t.Errorf("max %v, total %d; want %v, %d", c.max, c.total, all[n-1], n)
		}
	}
}

func TestHistogramAtItsEnds(t *testing.T) {
	var c counts
	if got := c.quantile(0.99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	var h histogram
	h.Add(-time.Second) // the clock was set back
	h.Add(1000 * time.Hour)
	h.addTo(&c)
	if c.quantile(0.5) >= time.Microsecond || c.max != 1000*time.Hour {
		t.Errorf("median %v, max %v", c.quantile(0.5), c.max)
	}
}

func TestSince(t *testing.T) {
	var h histogram
	var before, after counts
	h.Add(time.Second)
	h.addTo(&before)
	h.Add(time.Millisecond)
	h.addTo(&after)
	if got := after.since(&after).quantile(0.99); got != 0 {
		t.Errorf("of nothing new: %v", got)
	}
	if diff := after.since(&before); diff.total != 1 || diff.quantile(0.99) > 1016*time.Microsecond {
		t.Errorf("%d, %v", diff.total, diff.quantile(0.99))
	}
}

func BenchmarkHistogramAdd(b *testing.B) {
	var h histogram
	b.RunParallel(func(pb *testing.PB) {
		for d := time.Duration(0); pb.Next(); d += 12345 {
			h.Add(d)
		}
	})
}
