package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// Sizes of objects: a playlist, and a segment.
const (
	small = 4 << 10
	large = 1 << 20
)

const (
	writers = 16
	readers = 32
)

// row is one kind of work.
type row struct {
	name    string
	title   string
	size    int
	servers []string
	signed  bool // where the server can tell
	tls     bool
	run     func(context.Context, *turn) (result, error)
	targets []target
}

// target is what Headwater is to reach.
type target struct {
	what    metric
	against string // a server, empty when the number stands for itself; latency is what is added to its
	limit   float64
	atMost  bool
}

type metric string

const (
	speed metric = "throughput"
	cpu   metric = "CPU" // microseconds for each operation
	p50   metric = "added latency, median,"
	p99   metric = "added latency, 99 %,"
)

// atLeast is a throughput in proportion to another server's.
func atLeast(limit float64, against string) target {
	return target{what: speed, against: against, limit: limit}
}

func atMost(what metric, limit float64, against string) target {
	return target{what: what, against: against, limit: limit, atMost: true}
}

var rows = []row{
	{
		name: "overwrite-4k", title: "Overwrite 4 KiB, 16 writers", size: small, signed: true,
		servers: []string{headwater, nginx, minio, versitygw}, run: overwrite,
		targets: []target{atLeast(2, nginx), atLeast(15, minio), atMost(cpu, 60, "")},
	},
	{
		name: "put-1m", title: "Put 1 MiB to a new path, 16 writers", size: large, signed: true,
		servers: []string{headwater, nginx, minio, versitygw}, run: putNew,
		targets: []target{atLeast(1, nginx), atMost(cpu, 2000, "")},
	},
	{
		name: "get-4k", title: "Get 4 KiB, anonymous, 32 readers", size: small,
		servers: []string{headwater, nginx}, run: get,
		targets: []target{atLeast(0.85, nginx), atMost(cpu, 1.6, nginx)},
	},
	{
		name: "get-4k-signed", title: "Get 4 KiB, signed, 32 readers", size: small, signed: true,
		servers: []string{headwater, minio, versitygw}, run: get,
		targets: []target{atLeast(5, minio)},
	},
	{
		name: "get-1m", title: "Get 1 MiB, anonymous, 32 readers", size: large,
		servers: []string{headwater, nginx}, run: get,
		targets: []target{atLeast(1, nginx), atMost(cpu, 1.15, nginx)},
	},
	{
		name: "get-4k-tls", title: "Get 4 KiB, TLS 1.3, HTTP/1.1, 32 readers", size: small, tls: true,
		servers: []string{headwater, nginx}, run: get,
		targets: []target{atLeast(0.8, nginx)},
	},
	{
		name: "get-1m-tls", title: "Get 1 MiB, TLS 1.3, HTTP/1.1, 32 readers", size: large, tls: true,
		servers: []string{headwater, nginx}, run: get,
		targets: []target{atLeast(0.8, nginx)},
	},
	{
		name: "get-4k-h2", title: "Get 4 KiB, TLS 1.3, HTTP/2, 4 connections of 8 streams", size: small, tls: true,
		servers: []string{headwater, nginx}, run: get2,
		targets: []target{atLeast(0.8, nginx)},
	},
	{
		name: "get-1m-h2", title: "Get 1 MiB, TLS 1.3, HTTP/2, 4 connections of 8 streams", size: large, tls: true,
		servers: []string{headwater, nginx}, run: get2,
		targets: []target{atLeast(0.8, nginx)},
	},
	{
		name: "relay", title: "Chunks of 32 KiB to followers, 8 uploads, 16 followers each", size: chunkSize, signed: true,
		servers: []string{headwater, bareRelay, noServer}, run: relay,
		targets: []target{atMost(p50, 300, noServer), atMost(p99, 3000, noServer)},
	},
}

func rowNames() []string {
	var names []string
	for i := range rows {
		names = append(names, rows[i].name)
	}
	return names
}

// signs reports whether the row's requests are signed for the server.
func (t *turn) signs() bool { return t.row.signed && t.server.service != "" }

// connections calls connect for so many connections, and measures what it made.
func (t *turn) connections(ctx context.Context, n int, connect func(i int, c *conn) (operation, error)) (result, error) {
	var operations []operation
	for i := range n {
		c, err := dial(t.server.addr, t.server.tls)
		if err != nil {
			return result{}, err
		}
		defer c.Close()
		op, err := connect(i, c)
		if err != nil {
			return result{}, err
		}
		operations = append(operations, op)
	}
	return t.measure(ctx, operations)
}

// overwrite lets every writer replace four playlists in turn.
func overwrite(ctx context.Context, t *turn) (result, error) {
	body := make([]byte, t.row.size)
	return t.connections(ctx, writers, func(i int, c *conn) (operation, error) {
		var heads [][]byte
		for j := range 4 {
			head, err := t.server.head(http.MethodPut, fmt.Sprintf("/live/channel-%d/index-%d.m3u8", i, j), t.row.size, t.signs(), contentType...)
			if err != nil {
				return nil, err
			}
			heads = append(heads, head)
		}
		n := 0
		return func() error {
			n++
			_, err := c.exchange(heads[n%len(heads)], body)
			return err
		}, nil
	})
}

// putNew signs as it goes, because every path is new.
func putNew(ctx context.Context, t *turn) (result, error) {
	body := make([]byte, t.row.size)
	return t.connections(ctx, writers, func(i int, c *conn) (operation, error) {
		n := 0
		return func() error {
			n++
			head, err := t.server.head(http.MethodPut, fmt.Sprintf("/vod/round-%d/writer-%d/segment-%d.ts", t.round, i, n), t.row.size, t.signs(), contentType...)
			if err != nil {
				return err
			}
			_, err = c.exchange(head, body)
			return err
		}, nil
	})
}

func get(ctx context.Context, t *turn) (result, error) {
	var heads [][]byte
	for i := range objects {
		head, err := t.server.head(http.MethodGet, objectPath(t.row.size, i), 0, t.signs())
		if err != nil {
			return result{}, err
		}
		heads = append(heads, head)
	}
	return t.connections(ctx, readers, func(i int, c *conn) (operation, error) {
		return func() error {
			i++
			n, err := c.exchange(heads[i%objects], nil)
			if err == nil && n != int64(t.row.size) {
				err = fmt.Errorf("%d bytes came, not %d", n, t.row.size)
			}
			return err
		}, nil
	})
}

func get2(ctx context.Context, t *turn) (result, error) {
	var operations []operation
	for i := range readers / streams {
		c, err := dial2(t.server.addr, t.server.base+objectPath(t.row.size, i), t.row.size, t.server.tls)
		if err != nil {
			return result{}, err
		}
		defer c.Close()
		operations = append(operations, c.exchange)
	}
	return t.measure(ctx, operations)
}

// value returns what a metric says, in operations per second or microseconds.
func (r *result) value(m metric) float64 {
	switch m {
	case cpu:
		return float64(r.cpu.Nanoseconds()) / 1e3
	case p50:
		return float64(r.p50.Nanoseconds()) / 1e3
	case p99:
		return float64(r.p99.Nanoseconds()) / 1e3
	default:
		return r.perSecond
	}
}

// text shows a result.
func (r *result) text(of row) string {
	if r.p50 > 0 {
		return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, %.1f µs CPU", r.value(p50)/1e3, r.value(p99)/1e3, r.value(cpu))
	}
	return fmt.Sprintf("%s, %.1f µs CPU", of.speed(r.perSecond), r.value(cpu))
}

// speed shows a throughput: small objects are counted, large ones measured.
func (r *row) speed(perSecond float64) string {
	if r.size == small {
		return fmt.Sprintf("%.0f/s", perSecond)
	}
	return fmt.Sprintf("%.0f MB/s", perSecond*float64(r.size)/1e6)
}

// median returns the middle of the values.
func median(values []float64) float64 {
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}
