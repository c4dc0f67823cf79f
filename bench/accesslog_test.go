package bench

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The load of one round: so many clients, half of whom write and half of whom
// read, as often as that in all.
const (
	clients  = 32
	requests = 40_000
	rounds   = 9
)

// BenchmarkAccessLog compares the throughput of small objects, where a record
// costs most in comparison, with access logging on and off, in pairs.
func BenchmarkAccessLog(b *testing.B) {
	s := start(b, build(b), b.TempDir())
	defer s.stop()
	c := client(clients)
	s.control("CreateContainer", `{"ContainerName":"live"}`)
	endpoint := s.endpoint("live")
	for i := range clients {
		call(b, c, http.MethodPut, fmt.Sprintf("%s/read/%d", endpoint, i), bytes.Repeat([]byte("x"), 4096))
	}
	switchLogging := map[bool]string{true: "StartAccessLogging", false: "StopAccessLogging"}
	measure := func(on bool) (perSecond, cpu float64) {
		s.control(switchLogging[on], `{"ContainerName":"live"}`)
		used, began := s.cpu(), time.Now()
		mix(b, c, endpoint)
		return requests / time.Since(began).Seconds(), float64((s.cpu() - used).Microseconds()) / requests
	}
	measure(true) // warm
	for b.Loop() {
		var speed, cost []float64
		for round := range rounds {
			on := round%2 == 0 // each order as often as the other
			first, firstCPU := measure(on)
			second, secondCPU := measure(!on)
			if !on {
				first, second, firstCPU, secondCPU = second, first, secondCPU, firstCPU
			}
			speed, cost = append(speed, first/second), append(cost, firstCPU/secondCPU)
			b.Logf("on %.0f/s and %.1f us, off %.0f/s and %.1f us", first, firstCPU, second, secondCPU)
		}
		b.ReportMetric(median(speed), "throughput-ratio")
		b.ReportMetric(median(cost), "cpu-ratio")
	}
}

// mix writes and reads objects of 4 KiB.
func mix(b *testing.B, c *http.Client, endpoint string) {
	var left atomic.Int64
	left.Store(requests)
	body := bytes.Repeat([]byte("x"), 4096)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if i%2 == 0 {
					call(b, c, http.MethodPut, fmt.Sprintf("%s/write/%d", endpoint, i), body)
				} else {
					call(b, c, http.MethodGet, fmt.Sprintf("%s/read/%d", endpoint, i), nil)
				}
			}
		})
	}
	wg.Wait()
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
