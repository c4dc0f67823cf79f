package logstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// The benchmarks run on the real disk: they measure what a put waits for.

func benchEngine(b *testing.B) *Engine {
	b.Helper()
	e := mustOpen(b, Options{Dir: b.TempDir(), ReserveSpace: -1})
	b.Cleanup(func() { e.Close() })
	if err := e.CreateContainer(context.Background(), testContainer(), 0); err != nil {
		b.Fatal(err)
	}
	return e
}

func benchPut(b *testing.B, e *Engine, path mediastore.Path, body []byte) {
	ctx := context.Background()
	u, err := e.NewUpload(ctx, testID, engine.UploadSpec{Path: path, Size: int64(len(body))})
	if err != nil {
		b.Fatal(err)
	}
	defer u.Close()
	if _, err := u.Write(body); err != nil {
		b.Fatal(err)
	}
	object := mediastore.Object{ETag: "0123456789abcdef", ContentType: "video/mp4", LastModified: testEpoch}
	if err := u.Commit(ctx, object, mediastore.Precondition{}); err != nil {
		b.Fatal(err)
	}
}

// benchParallel puts from 16 writers for each processor, each to its own path.
func benchParallel(b *testing.B, size int) {
	e := benchEngine(b)
	body := version{seed: 1, size: size}.body()
	var writers atomic.Int64
	b.SetBytes(int64(size))
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	before := e.committer.groups.Load()
	b.RunParallel(func(pb *testing.PB) {
		path := mediastore.Path(fmt.Sprintf("live/channel-%d/index.m3u8", writers.Add(1)))
		for pb.Next() {
			benchPut(b, e, path, body)
		}
	})
	b.ReportMetric(float64(b.N)/float64(e.committer.groups.Load()-before), "puts/group")
}

func BenchmarkPutInline(b *testing.B) { benchParallel(b, 4<<10) }

func BenchmarkPut1MiB(b *testing.B) { benchParallel(b, 1<<20) }

func BenchmarkPut1MiBAlone(b *testing.B) {
	e := benchEngine(b)
	body := version{seed: 1, size: 1 << 20}.body()
	b.SetBytes(1 << 20)
	for b.Loop() {
		benchPut(b, e, "live/segment.ts", body)
	}
}

func BenchmarkStat(b *testing.B) {
	e := benchEngine(b)
	fillFolder(b, e, "live", 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.StatObject(context.Background(), testID, "live/segment-005000.ts"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenRead64KiB(b *testing.B) {
	e := benchEngine(b)
	benchPut(b, e, "live/segment.ts", version{seed: 1, size: 1 << 20}.body())
	b.SetBytes(BlockSize)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		buffer := make([]byte, BlockSize)
		for pb.Next() {
			r, err := e.OpenObject(context.Background(), testID, "live/segment.ts")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := r.ReadAt(buffer, 3*BlockSize); err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	})
}

func BenchmarkList1000(b *testing.B) {
	e := benchEngine(b)
	fillFolder(b, e, "live", 100_000)
	b.ReportAllocs()
	for b.Loop() {
		items, more, err := e.ListItems(context.Background(), testID, "live", engine.Position{Name: "segment-050000.ts"}, 1000)
		if err != nil || len(items) != 1000 || !more {
			b.Fatalf("%d items, %v, %v", len(items), more, err)
		}
	}
}

// BenchmarkDueNothing looks for what is due after 100,000 versions have expired
// and were removed, which is what a sweeper does most of the time.
func BenchmarkDueNothing(b *testing.B) {
	e := benchEngine(b)
	for from := 0; from < 100_000; from += 1000 {
		tx := newTxn(e.index.DB, map[mediastore.ContainerID]owner{}, 0)
		for i := from; i < from+1000; i++ {
			record := objectRecord{object: mediastore.Object{
				Path: mediastore.Path(fmt.Sprintf("live/segment-%06d.ts", i)), ETag: "1",
				ExpiresAt: testEpoch.Add(time.Duration(i) * time.Millisecond),
			}}
			op := &putObject{id: testID, record: record, value: record.encode()}
			if err := op.apply(tx); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.index.commit(tx.batch); err != nil {
			b.Fatal(err)
		}
		tx.batch.Close()
	}
	if removed := sweep(b, e, 1000); removed != 100_000 {
		b.Fatalf("%d were removed", removed)
	}
	later := testEpoch.Add(1000 * time.Second)
	b.ReportAllocs()
	for b.Loop() {
		if due, err := e.DueObjects(context.Background(), later, 500); err != nil || len(due) != 0 {
			b.Fatal(due, err)
		}
	}
}

// BenchmarkDue500 finds a full page of what is due.
func BenchmarkDue500(b *testing.B) {
	e := benchEngine(b)
	for i := range 1000 {
		putUntil(b, e, mediastore.Path(fmt.Sprintf("live/segment-%06d.ts", i)), 100, i)
	}
	b.ReportAllocs()
	for b.Loop() {
		if due, err := e.DueObjects(context.Background(), testEpoch.Add(time.Hour), 500); err != nil || len(due) != 500 {
			b.Fatal(due, err)
		}
	}
}

// BenchmarkOpen opens a store of 100,000 objects.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	o := Options{Dir: dir, ReserveSpace: -1}
	e := mustOpen(b, o)
	if err := e.CreateContainer(context.Background(), testContainer(), 0); err != nil {
		b.Fatal(err)
	}
	fillFolder(b, e, "live", 100_000)
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := mustOpen(b, o).Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// fillFolder puts n small objects straight through the committer's operations,
// without waiting for the disk.
func fillFolder(b *testing.B, e *Engine, folder mediastore.Folder, n int) {
	b.Helper()
	for from := 0; from < n; from += 1000 {
		tx := newTxn(e.index.DB, map[mediastore.ContainerID]owner{}, 0)
		for i := from; i < min(n, from+1000); i++ {
			record := objectRecord{object: mediastore.Object{
				Path: folder.Join(fmt.Sprintf("segment-%06d.ts", i)), ETag: "0123456789abcdef", Size: 100,
				ContentType: "video/mp2t", LastModified: testEpoch,
			}, inline: make([]byte, 100)}
			op := &putObject{id: testID, record: record, value: record.encode()}
			if err := op.apply(tx); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.index.commit(tx.batch); err != nil {
			b.Fatal(err)
		}
		tx.batch.Close()
	}
}
