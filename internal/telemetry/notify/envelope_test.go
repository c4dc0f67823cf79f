package notify

import (
	"encoding/json"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

func renderer() *Renderer {
	return &Renderer{Region: region, Endpoint: func(id mediastore.ContainerID) string { return "https://media.example/" + string(id) }}
}

// changes are one of each kind.
func changes() []event.Event {
	e := event.Event{
		Time:    time.Date(2026, 3, 1, 13, 0, 0, 250e6, time.FixedZone("", 3600)),
		Account: account, Container: "movies", ContainerID: container,
	}
	of := func(position uint64, kind event.Kind, path mediastore.Path, size int64) event.Event {
		e := e
		e.Position, e.Kind, e.Path, e.Size = position, kind, path, size
		if path != "" {
			e.ETag = "abc"
		}
		return e
	}
	return []event.Event{
		of(1, event.ContainerCreated, "", 0),
		of(2, event.ObjectUpdated, "live/a=1:b~.ts", 0),
		of(3, event.ObjectRemoved, "live/a=1:b~.ts", 12),
		of(4, event.ContainerRemoved, "", 0),
	}
}

// envelopes are those of changes, but for the ID.
const envelopes = `[
{"version":"1","id":"","detail-type":"MediaStore Container State Change","source":"aws.mediastore","account":"111122223333",
 "time":"2026-03-01T12:00:00Z","region":"us-east-1","resources":["arn:aws:mediastore:us-east-1:111122223333:container/movies"],
 "detail":{"ContainerName":"movies","Operation":"CREATE","Endpoint":"https://media.example/abcdefghij0001"}},
{"version":"1","id":"","detail-type":"MediaStore Object State Change","source":"aws.mediastore","account":"111122223333",
 "time":"2026-03-01T12:00:00Z","region":"us-east-1","resources":["arn:aws:mediastore:us-east-1:111122223333:container/movies/live/a=1:b~.ts"],
 "detail":{"ContainerName":"movies","Operation":"UPDATE","Path":"live/a=1:b~.ts","ObjectSize":0,"URL":"https://media.example/abcdefghij0001/live/a=1:b~.ts"}},
{"version":"1","id":"","detail-type":"MediaStore Object State Change","source":"aws.mediastore","account":"111122223333",
 "time":"2026-03-01T12:00:00Z","region":"us-east-1","resources":["arn:aws:mediastore:us-east-1:111122223333:container/movies/live/a=1:b~.ts"],
 "detail":{"ContainerName":"movies","Operation":"REMOVE","Path":"live/a=1:b~.ts","URL":"https://media.example/abcdefghij0001/live/a=1:b~.ts"}},
{"version":"1","id":"","detail-type":"MediaStore Container State Change","source":"aws.mediastore","account":"111122223333",
 "time":"2026-03-01T12:00:00Z","region":"us-east-1","resources":["arn:aws:mediastore:us-east-1:111122223333:container/movies"],
 "detail":{"ContainerName":"movies","Operation":"REMOVE"}}]`

// wanted returns the envelopes of changes, complete.
func wanted(t *testing.T) (all []map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(envelopes), &all); err != nil {
		t.Fatal(err)
	}
	for i, e := range changes() {
		all[i]["id"] = e.ID()
	}
	return all
}

func TestEnvelope(t *testing.T) {
	want := wanted(t)
	for i, e := range changes() {
		b, err := json.Marshal(renderer().Envelope(&e))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want[i], got); diff != "" {
			t.Errorf("%d:\n%s", i, diff)
		}
	}
}

func BenchmarkEnvelope(b *testing.B) {
	e, r := changes()[1], renderer()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(r.Envelope(&e)); err != nil {
			b.Fatal(err)
		}
	}
}
