package cli

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// progressInterval is how often a terminal is told how far things are.
const progressInterval = 200 * time.Millisecond

// progress tells a terminal how many bytes of a total are done.
type progress struct {
	w     io.Writer
	total int64
	done  atomic.Int64
}

// startProgress tells of it until stop is called. Where w is no terminal it is
// silent.
func startProgress(w io.Writer, total int64) (p *progress, stop func()) {
	p = &progress{w: w, total: total}
	if !isTerminal(w, nil) {
		return p, func() {}
	}
	end := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() { p.tell(end) })
	return p, func() {
		close(end)
		telling.Wait()
	}
}

func (p *progress) moved(n int64) { p.done.Add(n) }

func (p *progress) tell(end <-chan struct{}) {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fmt.Fprintf(p.w, "\r%-40s", p)
		case <-end:
			fmt.Fprintf(p.w, "\r%40s\r", "") // what remains is said otherwise
			return
		}
	}
}

// String returns how far it is, for people.
func (p *progress) String() string {
	done := p.done.Load()
	percent := int64(100)
	if p.total > 0 {
		percent = int64(100 * float64(done) / float64(p.total))
	}
	return fmt.Sprintf("%s of %s, %d %%", humanSize(done), humanSize(p.total), percent)
}

// humanSize returns bytes in three figures or so.
func humanSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/1000, 0
	for size >= 999.95 && unit < 3 {
		size, unit = size/1000, unit+1
	}
	return fmt.Sprintf("%.1f %s", size, []string{"kB", "MB", "GB", "TB"}[unit])
}
