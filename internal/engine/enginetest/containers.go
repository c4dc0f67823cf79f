package enginetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/mediastore"
)

func testContainerLife(t *testing.T, s *suite) {
	want := container("movies")
	want.Status = mediastore.StatusCreating
	want.AccessLogging = true
	want.Cors, want.Lifecycle, want.Metric = "[1]", "{2}", "{3}"
	if err := s.CreateContainer(s.ctx, want, 0); err != nil {
		t.Fatal(err)
	}
	byName, err := s.Container(s.ctx, account, "movies")
	if diff := cmp.Diff(want, byName); err != nil || diff != "" {
		t.Errorf("Container: %v (-want +got):\n%s", err, diff)
	}
	byID, err := s.ContainerByID(s.ctx, want.ID)
	if diff := cmp.Diff(want, byID); err != nil || diff != "" {
		t.Errorf("ContainerByID: %v (-want +got):\n%s", err, diff)
	}

	s.wantKind("put into CREATING", s.tryPut(want.ID, "a", nil, "1", mediastore.Precondition{}), mediastore.KindContainerNotFound)
	_, err = s.BeginDeleteContainer(s.ctx, account, "movies")
	s.wantKind("delete of CREATING", err, mediastore.KindContainerInUse)
	s.wantKind("remove of CREATING", s.RemoveContainer(s.ctx, account, "movies", epoch), mediastore.KindContainerInUse)

	_, err = s.UpdateContainer(s.ctx, account, "movies", func(c *mediastore.Container) error {
		c.Status = mediastore.StatusActive
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	deleting, err := s.BeginDeleteContainer(s.ctx, account, "movies")
	if err != nil || deleting.Status != mediastore.StatusDeleting {
		t.Fatalf("BeginDeleteContainer = %q, %v", deleting.Status, err)
	}
	_, err = s.BeginDeleteContainer(s.ctx, account, "movies")
	s.wantKind("second delete", err, mediastore.KindContainerInUse)
	s.wantKind("put into DELETING", s.tryPut(want.ID, "a", nil, "1", mediastore.Precondition{}), mediastore.KindContainerNotFound)
	if err := s.RemoveContainer(s.ctx, account, "movies", epoch); err != nil {
		t.Fatal(err)
	}
	_, err = s.Container(s.ctx, account, "movies")
	s.wantKind("Container after removal", err, mediastore.KindContainerNotFound)
	_, err = s.ContainerByID(s.ctx, want.ID)
	s.wantKind("ContainerByID after removal", err, mediastore.KindContainerNotFound)
	s.wantKind("second removal", s.RemoveContainer(s.ctx, account, "movies", epoch), mediastore.KindContainerNotFound)
	s.active("movies") // the name is free again
}

func testContainerNamesAreUnique(t *testing.T, s *suite) {
	s.active("movies")
	c := container("movies")
	c.ID = "otherotherothe"
	s.wantKind("same name", s.CreateContainer(s.ctx, c, 0), mediastore.KindContainerInUse)
	c.Account = "999988887777"
	if err := s.CreateContainer(s.ctx, c, 0); err != nil {
		t.Errorf("same name in another account: %v", err)
	}
	s.active("Movies") // names are case-sensitive

	var created atomic.Int32
	together(8, func(i int) {
		c := container("race")
		c.ID = mediastore.ContainerID(fmt.Sprintf("race%010d", i))
		if err := s.CreateContainer(s.ctx, c, 0); err == nil {
			created.Add(1)
		} else {
			s.wantKind("race", err, mediastore.KindContainerInUse)
		}
	})
	if n := created.Load(); n != 1 {
		t.Errorf("%d of 8 concurrent creates of one name succeeded", n)
	}
}

func testContainerLimit(t *testing.T, s *suite) {
	for i := range 3 {
		if err := s.CreateContainer(s.ctx, container(fmt.Sprint("c", i)), 3); err != nil {
			t.Fatal(err)
		}
	}
	s.wantKind("one too many", s.CreateContainer(s.ctx, container("c3"), 3), mediastore.KindLimitExceeded)
	s.wantKind("existing name at the limit", s.CreateContainer(s.ctx, container("c0"), 3), mediastore.KindContainerInUse)
	other := container("c3")
	other.Account = "999988887777"
	if err := s.CreateContainer(s.ctx, other, 3); err != nil {
		t.Errorf("the limit of one account was held against another: %v", err)
	}
}

func testContainerPages(t *testing.T, s *suite) {
	var want []mediastore.ContainerName
	for _, name := range []string{"A", "Z", "_", "a", "a-", "a0", "aa", "b"} {
		s.active(name)
	}
	want = []mediastore.ContainerName{"A", "Z", "_", "a", "a-", "a0", "aa", "b"}
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []mediastore.ContainerName
		more, after := true, mediastore.ContainerName("")
		for more {
			page, m, err := s.ListContainers(s.ctx, account, after, limit)
			if err != nil || len(page) > limit || len(page) == 0 {
				t.Fatalf("ListContainers(after %q, limit %d) = %d containers, %v", after, limit, len(page), err)
			}
			for _, c := range page {
				got = append(got, c.Name)
			}
			more, after = m, got[len(got)-1]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	page, more, err := s.ListContainers(s.ctx, "999988887777", "", 10)
	if len(page) != 0 || more || err != nil {
		t.Errorf("ListContainers of an empty account = %d, %v, %v", len(page), more, err)
	}
}

func testContainerUpdate(t *testing.T, s *suite) {
	id := s.active("movies")
	refused := errors.New("refused")
	_, err := s.UpdateContainer(s.ctx, account, "movies", func(c *mediastore.Container) error {
		c.Policy = "gone"
		c.Tags[0].Value = "gone"
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("UpdateContainer = %v, want the error of change", err)
	}
	c, _ := s.ContainerByID(s.ctx, id)
	if diff := cmp.Diff(container("movies"), c); diff != "" {
		t.Errorf("a refused update changed the record:\n%s", diff)
	}
	updated, err := s.UpdateContainer(s.ctx, account, "movies", func(c *mediastore.Container) error {
		c.Cors, c.Tags = "[]", nil
		return nil
	})
	want := container("movies")
	want.Cors, want.Tags = "[]", nil
	if diff := cmp.Diff(want, updated); err != nil || diff != "" {
		t.Errorf("UpdateContainer: %v (-want +got):\n%s", err, diff)
	}
	c, _ = s.ContainerByID(s.ctx, id)
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("ContainerByID after update (-want +got):\n%s", diff)
	}
	_, err = s.UpdateContainer(s.ctx, account, "none", func(*mediastore.Container) error { return nil })
	s.wantKind("update of a missing container", err, mediastore.KindContainerNotFound)
}

func testContainerUpdatesDoNotGetLost(t *testing.T, s *suite) {
	s.active("movies")
	together(8, func(i int) {
		for range 5 {
			_, err := s.UpdateContainer(s.ctx, account, "movies", func(c *mediastore.Container) error {
				c.Metric += "x"
				return nil
			})
			if err != nil {
				t.Errorf("UpdateContainer: %v", err)
			}
		}
	})
	if c, _ := s.Container(s.ctx, account, "movies"); len(c.Metric) != 40 {
		t.Errorf("%d of 40 concurrent updates are there", len(c.Metric))
	}
}

func testDeleteContainerNeedsEmpty(t *testing.T, s *suite) {
	id := s.active("movies")
	other := s.active("other")
	s.put(other, "x", []byte("1"), "1")
	s.put(id, "deep/er/object", []byte("1"), "1")
	_, err := s.BeginDeleteContainer(s.ctx, account, "movies")
	s.wantKind("delete of a container with an object", err, mediastore.KindContainerInUse)
	if _, err := s.DeleteObject(s.ctx, id, "deep/er/object", mediastore.Precondition{}); err != nil {
		t.Fatal(err)
	}
	s.begin(id, "pending", -1) // an upload that has not committed does not count
	if _, err := s.BeginDeleteContainer(s.ctx, account, "movies"); err != nil {
		t.Errorf("delete of an emptied container: %v", err)
	}
	_, err = s.BeginDeleteContainer(s.ctx, account, "none")
	s.wantKind("delete of a missing container", err, mediastore.KindContainerNotFound)
}

// testDeleteContainerAgainstPuts races a delete with puts: either the delete is
// refused, or no put was acknowledged.
func testDeleteContainerAgainstPuts(t *testing.T, s *suite) {
	for round := range 10 {
		name := fmt.Sprint("round", round)
		id := s.active(name)
		var deleted bool
		var stored atomic.Int32
		together(5, func(i int) {
			if i == 0 {
				_, err := s.BeginDeleteContainer(s.ctx, account, mediastore.ContainerName(name))
				deleted = err == nil
				return
			}
			if s.tryPut(id, fmt.Sprint("f/o", i), []byte("body"), "1", mediastore.Precondition{}) == nil {
				stored.Add(1)
			}
		})
		if deleted && stored.Load() > 0 {
			t.Fatalf("round %d: the container was deleted although %d puts were acknowledged", round, stored.Load())
		}
	}
}
