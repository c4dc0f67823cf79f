package enginetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

func testList(t *testing.T, s *suite) {
	id, other := s.active("movies"), s.active("other")
	s.put(other, "elsewhere", nil, "1")
	for _, path := range []string{
		"index.m3u8", "live/a.ts", "live/b.ts", "live/hd/a.ts", "live-2/x", "live.txt", "live=1/x", "live~/x", "live",
		"a/b/c/d/e/f/g/h/i/j/k", "Z", "0", "_", ":", ".x", "-",
	} {
		s.put(id, path, []byte(path), "e1")
	}
	s.wantItems(id, "", "-", ".x", "0", ":", "Z", "_", "a/", "index.m3u8", "live/", "live", "live-2/", "live.txt", "live=1/", "live~/")
	s.wantItems(id, "live", "a.ts", "b.ts", "hd/")
	s.wantItems(id, "live/hd", "a.ts")
	s.wantItems(id, "a/b/c/d/e/f/g/h/i/j", "k")
	s.wantItems(id, "liv")
	s.wantItems(id, "live.txt")
	s.wantItems(id, "none/at/all")

	items, _, err := s.ListItems(s.ctx, id, "live", engine.Position{}, 1)
	want := meta("e1")
	want.Path, want.Size = "live/a.ts", int64(len("live/a.ts"))
	if diff := cmp.Diff([]mediastore.Item{{Name: "a.ts", Object: want}}, items); err != nil || diff != "" {
		t.Errorf("ListItems: %v (-want +got):\n%s", err, diff)
	}
}

func testListPages(t *testing.T, s *suite) {
	id := s.active("movies")
	var want []string
	for i := range 23 {
		name := fmt.Sprintf("n%02d", i)
		if i%3 == 0 {
			s.put(id, "f/"+name+"/below", nil, "1")
			s.put(id, "f/"+name+"/below2", nil, "1")
			want = append(want, name+"/")
		}
		if i%2 == 0 {
			s.put(id, "f/"+name, nil, "1")
			want = append(want, name)
		}
	}
	for limit := 1; limit <= len(want)+1; limit++ {
		if diff := cmp.Diff(want, s.allItems(id, "f", limit)); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	// A position need not be that of an item that still exists.
	items, _, err := s.ListItems(s.ctx, id, "f", engine.Position{Name: "n20x"}, 10)
	if diff := cmp.Diff([]string{"n21/", "n22"}, names(items)); err != nil || diff != "" {
		t.Errorf("from a place between two items: %v (-want +got):\n%s", err, diff)
	}
}

// allItems pages through a folder.
func (s *suite) allItems(id mediastore.ContainerID, folder mediastore.Folder, limit int) []string {
	s.Helper()
	var all []string
	var after engine.Position
	for {
		items, more, err := s.ListItems(s.ctx, id, folder, after, limit)
		if err != nil || len(items) > limit || more && len(items) != limit {
			s.Fatalf("ListItems(%q, limit %d) = %d items, more %v, %v", folder, limit, len(items), more, err)
		}
		all = append(all, names(items)...)
		if !more {
			return all
		}
		last := items[len(items)-1]
		after = engine.Position{Name: last.Name, Folder: last.Folder}
	}
}

// testListAgainstModel puts and deletes at random in a small name space, where
// folders come and go, and holds every listing against a plain set of paths.
func testListAgainstModel(t *testing.T, s *suite) {
	const seed = 20260301
	id, random, model := s.active("movies"), rand.New(rand.NewPCG(seed, 0)), map[string]bool{}
	elements := []string{"a", "b", "a.b", "a-"}
	for step := range 300 {
		path := elements[random.IntN(4)]
		for range random.IntN(4) {
			path += "/" + elements[random.IntN(4)]
		}
		if model[path] && random.IntN(3) > 0 {
			if _, err := s.DeleteObject(s.ctx, id, mediastore.Path(path), mediastore.Precondition{}); err != nil {
				t.Fatalf("step %d: delete %s: %v", step, path, err)
			}
			delete(model, path)
		} else {
			s.put(id, path, []byte(path), "1")
			model[path] = true
		}
		folder, _ := mediastore.Path(path).Split()
		for _, f := range []mediastore.Folder{folder, ""} {
			if diff := cmp.Diff(modelItems(model, f), s.allItems(id, f, 3)); diff != "" {
				t.Fatalf("seed %d, step %d, after %s: folder %q (-want +got):\n%s", seed, step, path, f, diff)
			}
		}
	}
}

func modelItems(model map[string]bool, folder mediastore.Folder) []string {
	var out []string
	for path := range model {
		rest, ok := strings.CutPrefix(path, string(folder.Join("")))
		if !ok {
			continue
		}
		if name, _, below := strings.Cut(rest, "/"); below {
			rest = name + "/"
		}
		out = append(out, rest)
	}
	// "a/" is the folder a: it sorts by its name, before an object a.
	slices.SortFunc(out, func(a, b string) int {
		if c := strings.Compare(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/")); c != 0 {
			return c
		}
		return len(b) - len(a)
	})
	return slices.Compact(out)
}
