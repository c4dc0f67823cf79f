package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	chunkSize = 32 << 10
	uploads   = 8
	followers = 16 // of each upload

	// chunkEvery makes an upload one of 5 Mbit/s.
	chunkEvery = 50 * time.Millisecond
)

// relaying is one turn of the row relay.
type relaying struct {
	*turn
	epoch time.Time
	mu    struct {
		sync.Mutex
		latencies []time.Duration
	}
}

// relay sends chunks at a steady pace, each with the time at which it was sent, and
// lets followers look how old it is when they have the whole of it. That contains
// two hops, the server, and the wait for a processor on both sides.
func relay(ctx context.Context, t *turn) (result, error) {
	r := &relaying{turn: t, epoch: time.Now()}
	var running sync.WaitGroup
	errs := make(chan error, uploads*(followers+1))
	used := t.server.cpu()
	for i := range uploads {
		path := fmt.Sprintf("/relay/round-%d/upload-%d.ts", t.round, i)
		begun := make(chan struct{})
		running.Go(func() { errs <- r.upload(ctx, path, i, begun) })
		for range followers {
			running.Go(func() {
				<-begun
				errs <- r.follow(path)
			})
		}
	}
	pause(ctx, warmUp)
	stop := t.startProfile()
	running.Wait()
	stop()
	close(errs)
	for err := range errs {
		if err != nil {
			return result{}, err
		}
	}
	return r.result(t.server.cpu() - used), ctx.Err()
}

func (r *relaying) result(used time.Duration) result {
	l := r.mu.latencies
	slices.Sort(l)
	return result{
		perSecond: float64(len(l)) / time.Since(r.epoch).Seconds(),
		cpu:       used / time.Duration(len(l)),
		p50:       l[len(l)/2],
		p99:       l[len(l)*99/100],
	}
}

// upload sends one object, chunk by chunk. The uploads' chunks are spread over the
// time between two of one upload.
func (r *relaying) upload(ctx context.Context, path string, i int, begun chan struct{}) (err error) {
	release := sync.OnceFunc(func() { close(begun) })
	defer release()
	to, finish, err := r.openUpload(path, release)
	if err != nil {
		return err
	}
	pause(ctx, chunkEvery*time.Duration(i)/uploads)
	pace := time.NewTicker(chunkEvery)
	defer pace.Stop()
	frame := append(append([]byte("8000\r\n"), make([]byte, chunkSize)...), "\r\n"...)
	for n := range int(r.time / chunkEvery) {
		<-pace.C
		binary.LittleEndian.PutUint64(frame[6:], uint64(time.Since(r.epoch)))
		if _, err := to.Write(frame); err != nil {
			return err
		}
		if n == 1 {
			release()
		}
	}
	return finish()
}

var lastChunk = []byte("0\r\n\r\n")

// openUpload returns where the chunks of an upload go, and what ends it.
func (r *relaying) openUpload(path string, release func()) (io.Writer, func() error, error) {
	if r.server.direct != nil {
		release()
		return r.accept()
	}
	c, err := dial(r.server.addr, nil)
	if err != nil {
		return nil, nil, err
	}
	head, err := r.server.head(http.MethodPut, path, -1, r.signs(), "Content-Type", "video/mp2t", "X-Amz-Upload-Availability", "STREAMING")
	if err == nil {
		_, err = c.Write(head)
	}
	return c, func() error {
		defer c.Close()
		_, err := c.exchange(lastChunk, nil)
		return err
	}, err
}

// accept takes so many followers, who get the chunks straight from the uploader.
func (r *relaying) accept() (io.Writer, func() error, error) {
	var to []io.Writer
	var all []net.Conn
	for range followers {
		c, err := r.server.direct.Accept()
		if err != nil {
			return nil, nil, err
		}
		to, all = append(to, c), append(all, c)
	}
	w := io.MultiWriter(to...)
	return w, func() error {
		_, err := w.Write(lastChunk)
		for _, c := range all {
			c.Close()
		}
		return err
	}, nil
}

// follow reads an upload under way.
func (r *relaying) follow(path string) error {
	c, err := dial(r.server.addr, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	c.r = bufio.NewReaderSize(c.Conn, chunkSize+4<<10)
	joined := time.Since(r.epoch)
	if r.server.direct == nil {
		if err := r.ask(c, path); err != nil {
			return err
		}
	}
	latencies, err := r.read(httputil.NewChunkedReader(c.r), joined)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.latencies = append(r.mu.latencies, latencies...)
	return err
}

func (r *relaying) ask(c *conn, path string) error {
	head, err := r.server.head(http.MethodGet, path, 0, r.signs())
	if err != nil {
		return err
	}
	if err := c.send(head, nil); err != nil {
		return err
	}
	if ok, _, err := c.readHead(); !ok {
		return fmt.Errorf("no upload to follow at %s: %w", path, err)
	}
	return nil
}

// read returns how old the chunks were when the whole of them was there. What came
// soon after the follower is no measure.
func (r *relaying) read(body io.Reader, joined time.Duration) (latencies []time.Duration, err error) {
	chunk := make([]byte, chunkSize)
	for {
		_, err := io.ReadFull(body, chunk)
		if err == io.EOF {
			return latencies, nil
		}
		if err != nil {
			return nil, err
		}
		if sent := time.Duration(binary.LittleEndian.Uint64(chunk)); sent > joined+warmUp {
			latencies = append(latencies, time.Since(r.epoch)-sent)
		}
	}
}

// startNoServer lets the uploaders send to the followers themselves: what remains is
// what the load generator and the machine take.
func startNoServer(context.Context, string, *certificate) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &server{name: noServer, addr: l.Addr().String(), direct: l}, nil
}

// startBareRelay starts this program as a server that does no more than pass on
// what comes, with Go's own HTTP server: what relaying costs at least.
func startBareRelay(ctx context.Context, dir string, _ *certificate) (*server, error) {
	s, dir, err := newServer(bareRelay, dir, nil)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if s.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	s.store = false
	cmd := exec.Command(program, "-bare-relay")
	cmd.Env = append(os.Environ(), "BARE_RELAY="+s.addr)
	return s.await(ctx, dir, cmd)
}

func serveBareRelay(ctx context.Context) error {
	b := &bare{}
	b.mu.followers = map[string][]chan []byte{}
	server := &http.Server{Addr: os.Getenv("BARE_RELAY"), Handler: b, ReadHeaderTimeout: time.Minute}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	return server.ListenAndServe()
}

// bare is the bare relay.
type bare struct {
	mu struct {
		sync.Mutex
		followers map[string][]chan []byte
	}
}

func (b *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Clone(r.URL.Path)
	if r.Method == http.MethodPut {
		b.put(path, r.Body)
		return
	}
	chunks := make(chan []byte, 1000)
	b.mu.Lock()
	b.mu.followers[path] = append(b.mu.followers[path], chunks)
	b.mu.Unlock()
	control := http.NewResponseController(w)
	_ = control.Flush()
	for chunk := range chunks {
		if _, err := w.Write(chunk); err != nil {
			return
		}
		_ = control.Flush()
	}
}

func (b *bare) put(path string, body io.Reader) {
	for {
		chunk := make([]byte, chunkSize)
		_, err := io.ReadFull(body, chunk)
		b.mu.Lock()
		for _, f := range b.mu.followers[path] {
			if err != nil {
				close(f)
			} else {
				f <- chunk
			}
		}
		if err != nil {
			delete(b.mu.followers, path)
		}
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}
