package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headwater/internal/engine/logstore"
	"headwater/internal/mediastore"
)

// A big store is one folder of a million objects, and then folders of a thousand
// objects each, eight levels deep, below one folder of a thousand.
const (
	bigFolder = 1_000_000
	perFolder = 1000
	titles    = 1000
	page      = 1000
)

func bigPath(i int) mediastore.Path {
	if i < bigFolder {
		return mediastore.Path(fmt.Sprintf("one/segment-%07d.ts", i))
	}
	i -= bigFolder
	folder := i / perFolder
	return mediastore.Path(fmt.Sprintf("vod/title-%03d/part-%d/a/b/c/d/e/segment-%03d.ts", folder%titles, folder/titles, i%perFolder))
}

// BenchmarkBig tells how a store of a million and of ten million objects starts
// after kill -9, lists and gets.
func BenchmarkBig(b *testing.B) {
	binary := build(b)
	for b.Loop() {
		data := b.TempDir()
		done := 0
		for _, objects := range []int{bigFolder, 10 * bigFolder} {
			fillBig(b, data, done, objects)
			done = objects
			measureBig(b, binary, data, objects)
		}
	}
}

// measureBig starts the server, writes to it, kills it and starts it again.
func measureBig(b *testing.B, binary, data string, objects int) {
	s := start(b, binary, data)
	c := client(32)
	endpoint := s.endpoint("live")
	var running sync.WaitGroup
	for i := range 32 { // so that there is something to replay
		running.Go(func() {
			for range 500 {
				call(b, c, http.MethodPut, fmt.Sprintf("%s/live/%d", endpoint, i), make([]byte, 4096))
			}
		})
	}
	running.Wait()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()

	began := time.Now()
	s = start(b, binary, data)
	b.Logf("%d objects: start after kill -9 in %v", objects, time.Since(began).Round(time.Millisecond))
	b.ReportMetric(float64(time.Since(began).Milliseconds()), fmt.Sprintf("start-ms-%dM", objects/1_000_000))
	defer s.stop()
	folders := []string{"", "one", "vod", "vod/title-000", "vod/title-000/part-0/a/b/c/d/e"}
	if objects == bigFolder {
		folders = folders[:2]
	}
	for _, folder := range folders {
		tell(b, fmt.Sprintf("list %q, pages of up to %d", folder, page), listPages(b, c, s.endpoint("live"), folder))
	}
	tell(b, "get anywhere", getAnywhere(b, c, s.endpoint("live"), objects))
	b.Logf("peak memory %d MiB", s.peak()>>20)
}

func tell(b *testing.B, what string, took []time.Duration) {
	b.Logf("%s: %d, median %v, 99 %% %v, longest %v", what, len(took), quantile(took, 0.5), quantile(took, 0.99), slices.Max(took))
}

// listPages lists a folder from its first page to its last, and a small one as
// often as a median takes.
func listPages(b *testing.B, c *http.Client, endpoint, folder string) (took []time.Duration) {
	first := url.Values{"Path": {folder}, "MaxResults": {fmt.Sprint(page)}}
	for query := first; len(took) < 100 || query.Has("NextToken"); {
		began := time.Now()
		answer := call(b, c, http.MethodGet, endpoint+"/?"+query.Encode(), nil)
		took = append(took, time.Since(began))
		var list struct{ NextToken string }
		if err := json.Unmarshal(answer, &list); err != nil {
			b.Fatal(err)
		}
		query = url.Values{"Path": first["Path"], "MaxResults": first["MaxResults"]}
		if list.NextToken != "" {
			query.Set("NextToken", list.NextToken)
		}
	}
	return took
}

// getAnywhere gets objects from all over the store, one after another.
func getAnywhere(b *testing.B, c *http.Client, endpoint string, objects int) (took []time.Duration) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		path := bigPath(random.IntN(objects))
		began := time.Now()
		call(b, c, http.MethodGet, endpoint+"/"+string(path), nil)
		took = append(took, time.Since(began))
	}
	return took
}

// fillBig puts the objects from one number to another into the store, with very
// many writers, because each waits for the disk.
func fillBig(b *testing.B, data string, from, to int) {
	began := time.Now()
	e, err := logstore.Open(logstore.Options{Dir: filepath.Join(data, "store")})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	ctx := context.Background()
	if from == 0 {
		err := e.CreateContainer(ctx, mediastore.Container{Account: account, Region: "us-east-1", Name: "live", ID: id, Status: mediastore.StatusActive, CreatedAt: began}, 0)
		if err != nil {
			b.Fatal(err)
		}
	}
	var next atomic.Int64
	next.Store(int64(from))
	body := make([]byte, 100)
	var running sync.WaitGroup
	for range 1000 {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < to; i = int(next.Add(1)) - 1 {
				if err := put(ctx, e, bigPath(i), body, began); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	if err := e.TrimEvents(ctx, 1<<62); err != nil {
		b.Fatal(err)
	}
	b.Logf("filled to %d objects in %v", to, time.Since(began).Round(time.Second))
}
