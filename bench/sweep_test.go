package bench

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"headwater/internal/engine"
	"headwater/internal/engine/logstore"
	"headwater/internal/mediastore"
)

// old is how many objects there are that a rule in days deletes.
const old = 1_000_000

const id = mediastore.ContainerID("benchcontainer")

// BenchmarkSweep lets a rule in days delete a million objects, and compares how
// long GETs of other objects take meanwhile with how long they take without.
func BenchmarkSweep(b *testing.B) {
	binary := build(b)
	for b.Loop() {
		data := b.TempDir()
		fill(b, data)
		s := start(b, binary, data)
		c := client(8)
		endpoint := s.endpoint("live")
		for i := range 100 {
			call(b, c, http.MethodPut, fmt.Sprintf("%s/live/%d", endpoint, i), make([]byte, 4096))
		}
		without := latencies(b, c, endpoint, func(asked int) bool { return asked < 100_000 })
		before := s.memory()

		s.control("PutLifecyclePolicy", `{"ContainerName":"live","LifecyclePolicy":"{\"rules\":[{\"definition\":{\"path\":[{\"prefix\":\"old/\"}],\"days_since_create\":[{\"numeric\":[\">\",30]}]},\"action\":\"EXPIRE\"}]}"}`)
		began := time.Now()
		var during []time.Duration
		peak := before
		for deleted := int64(0); deleted < old; deleted = s.deleted() {
			during = append(during, latencies(b, c, endpoint, func(asked int) bool { return asked < 10_000 })...)
			peak = max(peak, s.memory())
		}
		took := time.Since(began)
		b.Logf("swept in %v; %d GETs: p50 %v, p99 %v without, p50 %v, p99 %v during (%d GETs); memory %d MiB before, at most %d MiB during",
			took, len(without), quantile(without, 0.5), quantile(without, 0.99), quantile(during, 0.5), quantile(during, 0.99), len(during), before>>20, peak>>20)
		b.ReportMetric(took.Seconds(), "sweep-s")
		b.ReportMetric(float64(quantile(during, 0.99))/float64(quantile(without, 0.99)), "p99-ratio")
		b.ReportMetric(float64(peak-before)/(1<<20), "MiB-more")
		s.stop()
	}
}

// fill makes a store with objects of 1 KiB of forty days ago.
func fill(b *testing.B, data string) {
	e, err := logstore.Open(logstore.Options{Dir: filepath.Join(data, "store")})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	ctx, created := context.Background(), time.Now().Add(-40*24*time.Hour)
	err = e.CreateContainer(ctx, mediastore.Container{Account: account, Region: "us-east-1", Name: "live", ID: id, Status: mediastore.StatusActive, CreatedAt: created}, 0)
	if err != nil {
		b.Fatal(err)
	}
	const writers = 256
	body := make([]byte, 1024)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < old; i += writers {
				path := mediastore.Path(fmt.Sprintf("old/%03d/segment-%06d.ts", i%1000, i/1000))
				if err := put(ctx, e, path, body, created); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := e.TrimEvents(ctx, 1<<62); err != nil {
		b.Fatal(err)
	}
}

func put(ctx context.Context, e engine.Engine, path mediastore.Path, body []byte, created time.Time) error {
	u, err := e.NewUpload(ctx, id, engine.UploadSpec{Path: path, Size: int64(len(body))})
	if err != nil {
		return err
	}
	defer u.Close()
	if _, err := u.Write(body); err != nil {
		return err
	}
	return u.Commit(ctx, mediastore.Object{ETag: mediastore.ETag(fmt.Sprintf("%032x", created.UnixNano())), LastModified: created}, mediastore.Precondition{At: created})
}

// latencies asks for live objects, eight at a time, as long as more says.
func latencies(b *testing.B, c *http.Client, endpoint string, more func(asked int) bool) []time.Duration {
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; more(i); i += 8 {
				began := time.Now()
				call(b, c, http.MethodGet, fmt.Sprintf("%s/live/%d", endpoint, i%100), nil)
				took := time.Since(began)
				mu.Lock()
				all = append(all, took)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all
}

func quantile(d []time.Duration, q float64) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[int(float64(len(d)-1)*q)]
}

var deletedPattern = regexp.MustCompile(`headwater_sweeper_objects_total\{what="deleted"\} (\S+)`)

// deleted is how many objects rules in days have deleted.
func (s *server) deleted() int64 {
	m := deletedPattern.FindSubmatch(call(s.b, http.DefaultClient, http.MethodGet, s.url+"/-/metrics", nil))
	if m == nil {
		s.b.Fatal("the metric of the sweeper is not there")
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		s.b.Fatal(err)
	}
	return int64(n)
}
