package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

// ran is a bench whose rounds found so many operations a second.
func ran(found map[string][]float64) *bench {
	b := &bench{results: map[key][]result{}}
	for server, speeds := range found {
		for _, s := range speeds {
			b.results[key{"row", server}] = append(b.results[key{"row", server}], result{perSecond: s, cpu: 50 * time.Microsecond, p99: time.Duration(s) * time.Microsecond})
		}
	}
	return b
}

func TestJudge(t *testing.T) {
	b := ran(map[string][]float64{
		headwater: {100, 300, 200},
		nginx:     {100, 200, 250}, // ratios 1, 1.5, 0.8
		noServer:  {50, 100, 100},  // 50, 200, 100 less
		minio:     {100},           // of another number of rounds
	})
	tests := []struct {
		target target
		want   string
		met    bool
	}{
		{atLeast(1, nginx), "throughput at least 1 x nginx: 1.00, met", true},
		{atLeast(1.1, nginx), "throughput at least 1.1 x nginx: 1.00, **missed**", false},
		{atMost(cpu, 50, ""), "CPU at most 50 µs: 50, met", true},
		{atMost(cpu, 49, ""), "CPU at most 49 µs: 50, **missed**", false},
		{atMost(cpu, 1, nginx), "CPU at most 1 x nginx: 1.00, met", true},
		{atMost(p99, 99, noServer), "added latency, 99 %, at most 99 µs: 100, **missed**", false},
		{atLeast(1, minio), "throughput at least 1 x minio: not measured", false},
		{atLeast(1, versitygw), "throughput at least 1 x versitygw: not measured", false},
	}
	for _, tt := range tests {
		got, met := b.judge(row{name: "row"}, tt.target)
		if got != tt.want || met != tt.met {
			t.Errorf("got %q, %v; want %q, %v", got, met, tt.want, tt.met)
		}
	}
}

func TestRatioOfNothing(t *testing.T) {
	b := ran(map[string][]float64{nginx: {1}})
	if got := b.ratio(row{name: "row"}, nginx, speed); !math.IsNaN(got) {
		t.Errorf("got %v without Headwater", got)
	}
}

// TestPageKeepsWhatIsByHand writes a page over one that was added to.
func TestPageKeepsWhatIsByHand(t *testing.T) {
	written := byHand + "\nlisted in a moment\n"
	r := &report{lines: []line{{row: row{title: "Work"}}}}
	page := string(r.page("old\n" + written))
	if !strings.HasSuffix(page, written) || strings.Contains(page, "old") || !strings.Contains(page, "## Work") {
		t.Errorf("the page is\n%s", page)
	}
	if page := string(r.page("")); strings.Contains(page, byHand) {
		t.Errorf("what nobody wrote is there:\n%s", page)
	}
}
