package containers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/containers"
	"headwater/internal/engine"
	"headwater/internal/mediastore"
	"headwater/internal/policy"
)

func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, newEngine(t))
		created, err := s.Create(t.Context(), account, "movies", []mediastore.Tag{{Key: "b", Value: "2"}, {Key: "a"}})
		must(t, err)
		want := mediastore.Container{
			Account: account, Region: region, Name: "movies", ID: created.ID, CreatedAt: epoch,
			Status: mediastore.StatusCreating, Policy: created.Policy,
			Tags: []mediastore.Tag{{Key: "a"}, {Key: "b", Value: "2"}},
		}
		if diff := cmp.Diff(want, created); diff != "" {
			t.Errorf("Create (-want +got):\n%s", diff)
		}
		_, err = s.Create(t.Context(), account, "movies", nil)
		wantKind(t, "creating it twice", err, mediastore.KindContainerInUse)

		synctest.Wait()
		want.Status = mediastore.StatusActive
		if diff := cmp.Diff(want, describe(t, s, "movies")); diff != "" {
			t.Errorf("some time later (-want +got):\n%s", diff)
		}

		must(t, s.Delete(t.Context(), account, "movies"))
		_, err = s.Snapshot(t.Context(), created.ID)
		wantKind(t, "Snapshot right after Delete", err, mediastore.KindContainerNotFound)
		synctest.Wait()
		_, err = s.Describe(t.Context(), account, "movies")
		wantKind(t, "Describe after Delete", err, mediastore.KindContainerNotFound)

		again, err := s.Create(t.Context(), account, "movies", nil)
		must(t, err)
		if again.ID == created.ID {
			t.Error("a new container of the same name got the old one's ID")
		}
	})
}

// TestDeletingTakesItsTime: between Delete and the end, the container is there
// and DELETING.
func TestDeletingTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		removed := make(chan struct{})
		e := &interposed{Containers: newEngine(t), remove: func(context.Context) error { <-removed; return nil }}
		s := newService(t, e)
		active(t, e, "movies")
		must(t, s.Delete(t.Context(), account, "movies"))
		synctest.Wait()
		if c := describe(t, s, "movies"); c.Status != mediastore.StatusDeleting {
			t.Errorf("the status is %s", c.Status)
		}
		close(removed)
		synctest.Wait()
		_, err := s.Describe(t.Context(), account, "movies")
		wantKind(t, "Describe", err, mediastore.KindContainerNotFound)
	})
}

// operations are all operations on an existing container but Describe, which
// works whatever its status.
func operations(s *containers.Service) map[string]func(context.Context, mediastore.ContainerName) error {
	type name = mediastore.ContainerName
	all := map[string]func(context.Context, name) error{
		"Delete":           func(ctx context.Context, n name) error { return s.Delete(ctx, account, n) },
		"SetAccessLogging": func(ctx context.Context, n name) error { return s.SetAccessLogging(ctx, account, n, true) },
		"Tag": func(ctx context.Context, n name) error {
			return s.Tag(ctx, account, n, []mediastore.Tag{{Key: "k"}})
		},
		"Untag": func(ctx context.Context, n name) error { return s.Untag(ctx, account, n, []string{"k"}) },
		"Tags": func(ctx context.Context, n name) error {
			_, err := s.Tags(ctx, account, n)
			return err
		},
	}
	for d, text := range documents {
		all[fmt.Sprint("Document ", d)] = func(ctx context.Context, n name) error {
			_, err := s.Document(ctx, account, n, d)
			return err
		}
		all[fmt.Sprint("PutDocument ", d)] = func(ctx context.Context, n name) error { return s.PutDocument(ctx, account, n, d, text) }
		all[fmt.Sprint("DeleteDocument ", d)] = func(ctx context.Context, n name) error { return s.DeleteDocument(ctx, account, n, d) }
	}
	return all
}

func TestNotActiveIsInUse(t *testing.T) {
	for _, status := range []mediastore.Status{mediastore.StatusCreating, mediastore.StatusDeleting} {
		e := newEngine(t)
		s := newService(t, e)
		before := store(t, e, mediastore.Container{
			Name: "movies", Status: status, Tags: []mediastore.Tag{{Key: "k", Value: "v"}},
			Policy: documents[containers.ContainerPolicy], Cors: documents[containers.CorsPolicy],
			Lifecycle: documents[containers.LifecyclePolicy], Metric: documents[containers.MetricPolicy],
		})
		for name, run := range operations(s) {
			wantKind(t, name+" while "+string(status), run(t.Context(), "movies"), mediastore.KindContainerInUse)
		}
		_, err := s.Create(t.Context(), account, "movies", nil)
		wantKind(t, "Create while "+string(status), err, mediastore.KindContainerInUse)
		_, err = s.Snapshot(t.Context(), before.ID)
		wantKind(t, "Snapshot while "+string(status), err, mediastore.KindContainerNotFound)

		if diff := cmp.Diff(before, describe(t, s, "movies")); diff != "" {
			t.Errorf("%s: an operation that was refused changed something (-want +got):\n%s", status, diff)
		}
	}
}

func TestNoSuchContainer(t *testing.T) {
	e := newEngine(t)
	s := newService(t, e)
	active(t, e, "movies")
	for name, run := range operations(s) {
		wantKind(t, name, run(t.Context(), "Movies"), mediastore.KindContainerNotFound)
	}
	_, err := s.Describe(t.Context(), other, "movies")
	wantKind(t, "another account's", err, mediastore.KindContainerNotFound)
}

func TestDeleteWantsItEmpty(t *testing.T) {
	e := newEngine(t)
	s := newService(t, e)
	c := active(t, e, "movies")
	u, err := e.NewUpload(t.Context(), c.ID, engine.UploadSpec{Path: "a/b", Size: 0})
	must(t, err)
	defer u.Close()
	must(t, u.Commit(t.Context(), mediastore.Object{ETag: "e"}, mediastore.Precondition{}))
	wantKind(t, "Delete", s.Delete(t.Context(), account, "movies"), mediastore.KindContainerInUse)
	if got := describe(t, s, "movies"); got.Status != mediastore.StatusActive {
		t.Errorf("a delete that was refused left it %s", got.Status)
	}
}

func TestContainerQuota(t *testing.T) {
	s := newService(t, newEngine(t))
	for _, name := range []mediastore.ContainerName{"a", "b", "c"} {
		_, err := s.Create(t.Context(), account, name, nil)
		must(t, err)
	}
	_, err := s.Create(t.Context(), account, "d", nil)
	wantKind(t, "one more than the quota", err, mediastore.KindLimitExceeded)
	if _, err := s.Create(t.Context(), other, "d", nil); err != nil {
		t.Errorf("another account is held to this one's quota: %v", err)
	}
}

func TestList(t *testing.T) {
	e := newEngine(t)
	s := newService(t, e)
	for _, name := range []mediastore.ContainerName{"b", "a", "B", "c"} {
		active(t, e, name)
	}
	store(t, e, mediastore.Container{Name: "d", Status: mediastore.StatusDeleting})
	var names []string
	for after, more := mediastore.ContainerName(""), true; more; {
		var page []mediastore.Container
		var err error
		page, more, err = s.List(t.Context(), account, after, 2)
		must(t, err)
		if more != (len(names)+len(page) < 5) {
			t.Errorf("more is %v after %d", more, len(names)+len(page))
		}
		for _, c := range page {
			names, after = append(names, string(c.Name)), c.Name
		}
	}
	if got := strings.Join(names, " "); got != "B a b c d" {
		t.Errorf("listed %s", got)
	}
}

func TestAccessLogging(t *testing.T) {
	e := newEngine(t)
	s := newService(t, e)
	active(t, e, "movies")
	for _, on := range []bool{true, true, false, false} {
		must(t, s.SetAccessLogging(t.Context(), account, "movies", on))
		if got := describe(t, s, "movies").AccessLogging; got != on {
			t.Errorf("switched to %v and is %v", on, got)
		}
	}
}

// TestDefaultPolicy: what every new container carries allows the account
// everything below the container over TLS, and nobody else anything.
func TestDefaultPolicy(t *testing.T) {
	s := newService(t, newEngine(t))
	c, err := s.Create(t.Context(), account, "movies", nil)
	must(t, err)
	const want = `{"Version":"2012-10-17","Statement":[{"Sid":"MediaStoreFullAccess","Effect":"Allow",` +
		`"Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"mediastore:*",` +
		`"Resource":"arn:aws:mediastore:us-west-2:111122223333:container/movies/*",` +
		`"Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`
	if c.Policy != want {
		t.Errorf("the default policy is\n%s\nwant\n%s", c.Policy, want)
	}
	doc, err := policy.Parse([]byte(c.Policy))
	must(t, err)
	const movie = "arn:aws:mediastore:us-west-2:111122223333:container/movies/a/b.ts"
	root := policy.Root(string(account))
	for _, test := range []struct {
		name             string
		who              policy.Principal
		action, resource string
		tls              bool
		want             policy.Effect
	}{
		{"root reads", root, "mediastore:GetObject", movie, true, policy.Allow},
		{"root writes", root, "mediastore:PutObject", movie, true, policy.Allow},
		{"root lists", root, "mediastore:ListItems", c.ARN() + "/", true, policy.Allow},
		{"a user of the account", policy.User(string(account), "anna", "AIDA"), "mediastore:GetObject", movie, true, policy.Allow},
		{"root without TLS", root, "mediastore:GetObject", movie, false, policy.ImplicitDeny},
		{"another account", policy.Root(string(other)), "mediastore:GetObject", movie, true, policy.ImplicitDeny},
		{"anonymous", policy.Anonymous(), "mediastore:GetObject", movie, true, policy.ImplicitDeny},
		{"another service", root, "s3:GetObject", movie, true, policy.ImplicitDeny},
		{"another container", root, "mediastore:GetObject", strings.Replace(movie, "movies", "movies2", 1), true, policy.ImplicitDeny},
	} {
		got := doc.Evaluate(&policy.Request{
			Principal: test.who, Action: test.action, Resource: test.resource,
			Context: policy.Context{SecureTransport: test.tls},
		}).Effect
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// TestResume: creations and deletions that an earlier run left half-done are
// finished, however many pages of containers there are.
func TestResume(t *testing.T) {
	e := newEngine(t)
	statuses := []mediastore.Status{mediastore.StatusCreating, mediastore.StatusActive, mediastore.StatusDeleting}
	for i := range 330 {
		store(t, e, mediastore.Container{Name: mediastore.ContainerName(fmt.Sprintf("c%03d", i)), Status: statuses[i%3]})
	}
	s := newService(t, e)
	must(t, s.Resume(t.Context(), account))
	all, more, err := s.List(t.Context(), account, "", 1000)
	if err != nil || more || len(all) != 220 {
		t.Fatalf("%d containers are left, more %v, %v; want 220", len(all), more, err)
	}
	for _, c := range all {
		if c.Status != mediastore.StatusActive {
			t.Errorf("%s is left %s", c.Name, c.Status)
		}
	}
}

// TestResumeGoesOn: what cannot be finished is logged and holds up nothing else.
func TestResumeGoesOn(t *testing.T) {
	e := &interposed{Containers: newEngine(t), remove: func(context.Context) error { return errors.New("the disk broke") }}
	store(t, e, mediastore.Container{Name: "a", Status: mediastore.StatusDeleting})
	store(t, e, mediastore.Container{Name: "b", Status: mediastore.StatusCreating})
	var log bytes.Buffer
	s := containers.New(containers.Config{Engine: e, Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, s.Resume(t.Context(), account))
	if c := describe(t, s, "b"); c.Status != mediastore.StatusActive {
		t.Errorf("b is left %s", c.Status)
	}
	for _, want := range []string{"level=ERROR", "change=remove", "container=a", "the disk broke"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
}

func TestResumeFailsWithTheEngine(t *testing.T) {
	e := newEngine(t)
	must(t, e.Close())
	wantKind(t, "Resume", newService(t, e).Resume(t.Context(), account), mediastore.KindUnavailable)
}

// TestCloseWaits: Close returns when what goes on in the background has ended,
// also where the engine does not heed that it is cut short.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		removed := make(chan struct{})
		e := &interposed{Containers: newEngine(t), remove: func(context.Context) error { <-removed; return nil }}
		s := newService(t, e)
		active(t, e, "movies")
		must(t, s.Delete(t.Context(), account, "movies"))
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while a deletion was under way")
		default:
		}
		close(removed)
		must(t, <-closed)
	})
}

// TestCloseCutsShort: Close does not wait for an engine that heeds its context,
// and the next run finishes what was cut short.
func TestCloseCutsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t)
		s := newService(t, &interposed{Containers: e, update: untilCancelled, remove: untilCancelled})
		_, err := s.Create(t.Context(), account, "created", nil)
		must(t, err)
		active(t, e, "deleted")
		must(t, s.Delete(t.Context(), account, "deleted"))
		must(t, s.Close())

		next := newService(t, e)
		if c := describe(t, next, "created"); c.Status != mediastore.StatusCreating {
			t.Errorf("the creation that was cut short left it %s", c.Status)
		}
		must(t, next.Resume(t.Context(), account))
		if c := describe(t, next, "created"); c.Status != mediastore.StatusActive {
			t.Errorf("Resume left it %s", c.Status)
		}
		_, err = next.Describe(t.Context(), account, "deleted")
		wantKind(t, "the deleted container after Resume", err, mediastore.KindContainerNotFound)
	})
}
