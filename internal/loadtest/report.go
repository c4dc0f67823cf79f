package loadtest

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run came to. Its JSON form is for programs.
type Report struct {
	Verdict   Verdict      `json:"verdict"`
	Seconds   float64      `json:"seconds"` // how long the run took, without the tidying up
	Kinds     []KindReport `json:"kinds"`
	Published int64        `json:"published"` // segments that were stored
	Missed    int64        `json:"missed"`    // segments that were due, but not stored
	Skipped   int64        `json:"skipped"`   // segments that a reader did not get, since it came too late
	Late      int64        `json:"late"`      // manifests that were more than a segment's duration behind
	Early     int64        `json:"early"`     // answers 404 for a segment while it was uploaded
	Leftovers int64        `json:"leftovers"` // objects of the run that could not be deleted
}

// Verdict is the report in a word.
type Verdict string

// The verdicts.
const (
	Passed Verdict = "OK"     // no errors, and on time
	Behind Verdict = "BEHIND" // no errors, but too slow for the schedule
	Failed Verdict = "FAILED" // errors, or nothing worked
)

// KindReport is what became of one kind of request. Latencies are in
// milliseconds, of successes only.
type KindReport struct {
	Kind           string        `json:"kind"`
	Count          int64         `json:"count"` // of successes
	Errors         int64         `json:"errors"`
	PerSecond      float64       `json:"per_second"`       // successes
	BytesPerSecond float64       `json:"bytes_per_second"` // of bodies
	P50            float64       `json:"p50_ms"`
	P90            float64       `json:"p90_ms"`
	P99            float64       `json:"p99_ms"`
	P999           float64       `json:"p999_ms"`
	Max            float64       `json:"max_ms"`
	ByError        []ErrorReport `json:"by_error,omitempty"` // the most frequent first
}

// ErrorReport is one sort of error.
type ErrorReport struct {
	What  string `json:"what"`
	Count int64  `json:"count"`
	First string `json:"first"` // the text of the first one
}

// Progress is how a run goes. All but Elapsed and Errors, which are since its
// beginning, are of the time since the progress was last asked for.
type Progress struct {
	Elapsed  time.Duration
	Requests float64 // successes per second
	Bytes    float64 // per second
	Errors   int64
	P99      time.Duration // of all requests
}

// String returns the progress in one line.
func (p Progress) String() string {
	return fmt.Sprintf("%s  %.0f req/s  %.1f MB/s  %s  p99 %s ms",
		p.Elapsed.Truncate(time.Second), p.Requests, p.Bytes/1e6, plural(p.Errors, "error"), figures(millis(p.P99)))
}

// Errors returns how many errors there were in all.
func (r *Report) Errors() (n int64) {
	for _, k := range r.Kinds {
		n += k.Errors
	}
	return n
}

func (r *Report) requests() (n int64) {
	for _, k := range r.Kinds {
		if k.Kind != followChunk.String() {
			n += k.Count
		}
	}
	return n
}

// judge sets the verdict. Without a schedule nobody can be behind it.
func (r *Report) judge(scheduled bool) {
	switch {
	case r.Errors() > 0 || r.requests() == 0:
		r.Verdict = Failed
	case scheduled && (r.Late > 0 || r.Missed > 0 || r.Skipped > 0):
		r.Verdict = Behind
	default:
		r.Verdict = Passed
	}
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	r.writeTable(&b)
	r.writeErrors(&b)
	fmt.Fprintf(&b, "\n%s published, %d missed\n", plural(r.Published, "segment"), r.Missed)
	writeCount(&b, r.Late, "%s behind by more than a segment", "manifest")
	writeCount(&b, r.Skipped, "%s not read, since a reader came too late", "segment")
	writeCount(&b, r.Early, "%s that a segment was not there yet, while it was uploaded", "answer")
	writeCount(&b, r.Leftovers, "%s could not be deleted after the run", "object")
	fmt.Fprintf(&b, "\n%s: %s\n", r.Verdict, r.reason())
	_, err := b.WriteTo(w)
	return err
}

func (r *Report) writeTable(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "latency in ms\tcount\terrors\tper s\tMB/s\tp50\tp90\tp99\tp99.9\tmax\t\n")
	for _, k := range r.Kinds {
		cells := []string{k.Kind, strconv.FormatInt(k.Count, 10), strconv.FormatInt(k.Errors, 10), figures(k.PerSecond), figures(k.BytesPerSecond / 1e6)}
		for _, ms := range []float64{k.P50, k.P90, k.P99, k.P999, k.Max} {
			cells = append(cells, figures(ms))
		}
		fmt.Fprintf(table, "%s\t\n", strings.Join(cells, "\t"))
	}
	_ = table.Flush() // a buffer takes everything
}

func (r *Report) writeErrors(w io.Writer) {
	if r.Errors() > 0 {
		fmt.Fprintf(w, "\nerrors\n")
	}
	for _, k := range r.Kinds {
		for _, e := range k.ByError {
			fmt.Fprintf(w, "  %d x %s: %s\n", e.Count, k.Kind, e.What)
			if e.First != e.What {
				fmt.Fprintf(w, "      first: %s\n", e.First)
			}
		}
	}
}

// writeCount writes a line unless n is 0.
func writeCount(w io.Writer, n int64, format, what string) {
	if n > 0 {
		fmt.Fprintf(w, format+"\n", plural(n, what))
	}
}

// reason says why the verdict is what it is.
func (r *Report) reason() string {
	did := fmt.Sprintf("%s in %.1f s", plural(r.requests(), "request"), r.Seconds)
	switch {
	case r.Verdict == Passed:
		return did + ", no errors, nothing late"
	case r.Verdict == Behind:
		return did + ", no errors, but the schedule was not kept"
	case r.Errors() == 0:
		return fmt.Sprintf("nothing was answered in %.1f s", r.Seconds)
	default:
		return did + ", and " + plural(r.Errors(), "error")
	}
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// millis returns d in milliseconds, to the microsecond.
func millis(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

// figures returns three figures of x or so.
func figures(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
}
