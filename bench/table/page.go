package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

const pageHead = `# Performance

This page and its plot are written by ` + "`make bench`" + `, which runs Headwater beside other
servers on one machine, in turns, with the same load. ` + "`make peers`" + ` installs them.

![Throughput and processor time of each server](images/performance.svg)

| what | how |
|---|---|
| machine | %s; clients and servers share it, so read the ratios and the processor time, not the absolute speed |
| servers | %s |
| turns | each server is measured in turn, in %d rounds; numbers are medians, ratios are of turns of the same round |
| CPU | user and system time of the server's processes for each operation; the load generator's is not in it |
| durable | Headwater and MinIO sync what they write before they answer, nginx and versitygw do not; what is left unwritten is written between the turns and counts for nobody |
| signed | Headwater, MinIO and versitygw verify an AWS Signature V4 of each write, and of reads where it says so; nginx asks nobody |
| TLS | 1.3, the same ECDSA P-256 certificate, AES-128-GCM |
| relay | from before a chunk is sent until a follower has the whole of it; without a server the uploader sends to the followers itself, and what a server adds is the rest; the bare relay is Go's HTTP server passing on what comes, and does nothing else |

"Headwater to it" is Headwater's number divided by that server's: more is better for
throughput, less for CPU.
`

// page is the report in Markdown, with what the former page has by hand.
func (r *report) page(former string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, pageHead, r.machine, versions(), r.rounds)
	for _, l := range r.lines {
		fmt.Fprintf(&b, "\n## %s\n\n", l.row.title)
		l.table(&b)
		b.WriteString("\n")
		for _, t := range l.targets {
			fmt.Fprintf(&b, "- Target: %s\n", t)
		}
		fmt.Fprintf(&b, "\n`go run ./bench/table -rows %s`\n", l.row.name)
	}
	b.WriteString("\n## Peak memory\n\nResident, over the whole table.\n\n")
	for _, m := range r.memory {
		fmt.Fprintf(&b, "- %s\n", m)
	}
	if _, rest, found := strings.Cut(former, byHand); found {
		b.WriteString(byHand + rest)
	}
	return b.Bytes()
}

// byHand begins what is written by hand and stays: it comes of benchmarks that take
// too long for each time.
const byHand = "\n## Ten million objects\n"

// table shows one line of the report.
func (l *line) table(b *bytes.Buffer) {
	if l.servers != nil && l.servers[0].result.p50 > 0 {
		b.WriteString("| server | median | 99 % | CPU for each chunk and follower |\n|---|---:|---:|---:|\n")
		for _, m := range l.servers {
			fmt.Fprintf(b, "| %s | %.2f ms | %.2f ms | %.1f µs |\n", m.server, m.result.value(p50)/1e3, m.result.value(p99)/1e3, m.result.value(cpu))
		}
		return
	}
	b.WriteString("| server | throughput | CPU for each | Headwater to it: throughput | CPU |\n|---|---:|---:|---:|---:|\n")
	for _, m := range l.servers {
		fmt.Fprintf(b, "| %s | %s | %.0f µs | %s |\n", m.server, l.row.speed(m.result.perSecond), m.result.value(cpu), m.ratios(" | "))
	}
}

// Measures of the plot, in pixels.
const (
	plotWidth  = 860
	barHeight  = 16
	leftMargin = 90
	barWidth   = 270
	rightPanel = leftMargin + barWidth + 130
)

var colors = map[string]string{headwater: "#1769aa", nginx: "#4c9a52", minio: "#b0413e", versitygw: "#8a6fb0"}

// plot draws throughput and CPU of every server, each row to its own scale.
func (r *report) plot() []byte {
	var b bytes.Buffer
	y := 30
	for _, l := range r.lines {
		if l.servers[0].result.p50 > 0 {
			continue // latency is neither
		}
		fmt.Fprintf(&b, `<text x="10" y="%d" font-weight="bold">%s</text>`+"\n", y+8, l.row.title)
		y += 16
		fastest, dearest := l.largest(speed), l.largest(cpu)
		for _, m := range l.servers {
			fmt.Fprintf(&b, `<text x="10" y="%d">%s</text>`+"\n", y+12, m.server)
			bar(&b, leftMargin, y, m.result.perSecond/fastest, colors[m.server], l.row.speed(m.result.perSecond))
			bar(&b, rightPanel, y, m.result.value(cpu)/dearest, colors[m.server], fmt.Sprintf("%.0f µs", m.result.value(cpu)))
			y += barHeight + 2
		}
		y += 14
	}
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%d" y="18">throughput: longer is better</text>
<text x="%d" y="18">processor time for each operation: shorter is better</text>
`, plotWidth, y, leftMargin, rightPanel)
	return []byte(head + b.String() + "</svg>\n")
}

func bar(b *bytes.Buffer, x, y int, part float64, color, label string) {
	width := int(math.Max(1, part*barWidth))
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
		x, y, width, barHeight, color, x+width+5, y+12, strings.TrimSpace(label))
}

func (l *line) largest(m metric) (most float64) {
	for i := range l.servers {
		most = max(most, l.servers[i].result.value(m))
	}
	return most
}
