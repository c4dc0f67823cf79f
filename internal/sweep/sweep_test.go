package sweep_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
	"headwater/internal/sweep"
)

// fill stores n objects of an age and returns their paths.
func (w *world) fill(id mediastore.ContainerID, n int, age time.Duration) (paths []mediastore.Path) {
	for i := range n {
		paths = append(paths, mediastore.Path(fmt.Sprintf("a/%04d", i)))
		w.put(id, paths[i], age)
	}
	return paths
}

func TestExpiryIsSoonAndInBatches(t *testing.T) {
	inWorld(t, func(w *world) {
		w.addContainer(otherID)
		for _, id := range []mediastore.ContainerID{id, otherID} {
			w.setPolicy(id, rules(rule("EXPIRE", "> 15s", "a/*")))
			w.fill(id, 700, 0)
		}
		_, stop := w.start()
		defer stop()
		time.Sleep(16*time.Second - 1)
		synctest.Wait()
		if n := w.heard.swept(sweep.Expired); n != 0 {
			t.Fatalf("%d were removed before their time", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := w.heard.swept(sweep.Expired); n != 1400 || w.heard.bytes[sweep.Expired] == 0 {
			t.Errorf("%d were removed, with %d bytes", n, w.heard.bytes[sweep.Expired])
		}
		for _, c := range w.calls("remove") {
			if c.n > 500 {
				t.Errorf("a batch of %d", c.n)
			}
		}
		if _, err := w.BeginDeleteContainer(t.Context(), account, mediastore.ContainerName(id)); err != nil {
			t.Error(err)
		}
	})
}

// TestExpireDue: with no loop running, whatever there is.
func TestExpireDue(t *testing.T) {
	inWorld(t, func(w *world) {
		w.setPolicy(id, rules(rule("EXPIRE", "> 15s", "a/*")))
		w.fill(id, 1200, day)
		w.put(id, "a/young", 0)
		s := sweep.New(w.config)
		w.failWhen(func(c call) error {
			if c.op == "remove" {
				return errDisk
			}
			return nil
		})
		if err := s.ExpireDue(t.Context()); err == nil {
			t.Error("a failure is not told")
		}
		w.failWhen(nil)
		if err := s.ExpireDue(t.Context()); err != nil || w.heard.swept(sweep.Expired) != 1200 || w.stat(id, "a/young") == nil {
			t.Errorf("%v, %v", err, w.heard.objects)
		}
	})
}

func TestEvents(t *testing.T) {
	for _, onExpiry := range []bool{false, true} {
		inWorld(t, func(w *world) {
			w.config.EventsOnExpiry = onExpiry
			w.setPolicy(id, rules(rule("EXPIRE", "> 15s", "a/*"), rule("EXPIRE", ">= 1d", "b/")))
			w.put(id, "a/1", 0)
			w.put(id, "b/1", day)
			w.put(id, "c/1", day)
			w.sweepFor(20 * time.Second)
			want := []mediastore.Path{"b/1"}
			if onExpiry {
				want = append(want, "a/1")
			}
			equal(t, "events", w.removed(), want...)
			equal(t, "what is left", w.paths(id), "c/1")
		})
	}
}

func TestFoldersVanishWithTheirLastObject(t *testing.T) {
	inWorld(t, func(w *world) {
		w.setPolicy(id, rules(rule("EXPIRE", ">= 1d", "a/")))
		w.put(id, "a/b/c/1", day)
		w.put(id, "b/1", day)
		w.sweepFor(0)
		items, _, err := w.ListItems(t.Context(), id, "", engine.Position{}, 10)
		if err != nil || len(items) != 1 || items[0].Name != "b" {
			t.Errorf("%v, %v", items, err)
		}
	})
}

// TestAnObjectStoredAnewSurvives: between the look at it and its removal.
func TestAnObjectStoredAnewSurvives(t *testing.T) {
	inWorld(t, func(w *world) {
		w.setPolicy(id, rules(rule("EXPIRE", "> 15s", "a/*"), rule("EXPIRE", ">= 1d", "b/")))
		for _, path := range []mediastore.Path{"a/1", "a/2", "b/1", "b/2"} {
			w.put(id, path, day)
		}
		stored := map[mediastore.Path]bool{}
		w.failWhen(func(c call) error {
			anew := mediastore.Path(string(c.path[:min(1, len(c.path))]) + "/1")
			if c.op == "remove" && !stored[anew] {
				stored[anew] = true
				w.put(id, anew, 0)
			}
			return nil
		})
		w.sweepFor(time.Second)
		for path, want := range map[mediastore.Path]bool{"a/1": true, "a/2": false, "b/1": true, "b/2": false} {
			if got := w.stat(id, path) != nil; got != want {
				t.Errorf("%s is there: %v, want %v", path, got, want)
			}
		}
	})
}

// slowWalk makes a pass look at a thousand objects a second, after the first two
// thousand.
func (w *world) slowWalk() { w.config.Rate = 100 }

func TestAPassGoesOnAfterARestart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.slowWalk()
		w.setPolicy(id, rules(rule("EXPIRE", "> 2d", "")))
		paths := w.fill(id, 3500, day)
		w.sweepFor(1500 * time.Millisecond)
		before := len(w.calls("walk"))
		if before < 2 || before > 3 || len(w.heard.passed()) > 0 {
			t.Fatalf("%d walks before the restart, %v", before, w.heard.passed())
		}
		last := paths[1000*before-1]
		w.sweepFor(time.Minute)
		for _, c := range w.calls("walk")[before:] {
			if c.path < last {
				t.Errorf("looked again at what comes after %q, having come to %q", c.path, last)
			}
		}
		if len(w.heard.passed()) != 1 || w.heard.passed()[0].objects != 3500 || w.heard.passed()[0].took < 1500*time.Millisecond {
			t.Errorf("passes: %v", w.heard.passed())
		}
		if mark, err := w.Mark(t.Context(), "sweep/deleted/"+string(id)); mark != nil || err != nil {
			t.Errorf("a mark is left: %s, %v", mark, err)
		}
	})
}

func TestPathsTooLongForAMark(t *testing.T) {
	inWorld(t, func(w *world) {
		w.config.Rate = 1
		w.setPolicy(id, rules(rule("EXPIRE", ">= 1d", "")))
		for i := range 25 {
			w.put(id, mediastore.Path(fmt.Sprintf("%02d/%04090d", i, 1)), day)
		}
		w.sweepFor(time.Minute)
		equal(t, "what is left", w.paths(id))
	})
}

func TestPolicyChangesInTheMiddleOfAPass(t *testing.T) {
	inWorld(t, func(w *world) {
		w.slowWalk()
		w.setPolicy(id, rules(rule("EXPIRE", "> 2d", "")))
		w.fill(id, 3000, day)
		_, stop := w.start()
		defer stop()
		time.Sleep(500 * time.Millisecond)
		w.setPolicy(id, rules(rule("EXPIRE", "> 2d", ""), rule("EXPIRE", ">= 1d", "a/0000*")))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if w.stat(id, "a/0000") != nil {
			t.Error("the pass has not begun anew")
		}
		walked := w.calls("walk")
		if i := slices.IndexFunc(walked[1:], func(c call) bool { return c.path == "" }); i < 0 {
			t.Errorf("%v", walked)
		}
	})
}

func TestPolicyIsDeletedInTheMiddleOfAPass(t *testing.T) {
	inWorld(t, func(w *world) {
		w.config.Rate = 100
		w.setPolicy(id, rules(rule("EXPIRE", ">= 1d", "")))
		w.fill(id, 1000, day)
		_, stop := w.start()
		defer stop()
		time.Sleep(4 * time.Second)
		synctest.Wait()
		w.setPolicy(id, "")
		left := len(w.paths(id))
		if left == 0 || left == 1000 {
			t.Fatalf("%d are left in the middle", left)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if n := len(w.paths(id)); n != left {
			t.Errorf("%d are left of %d after the policy was deleted", n, left)
		}
		if mark, _ := w.Mark(t.Context(), "sweep/deleted/"+string(id)); mark != nil {
			t.Errorf("a mark is left: %s", mark)
		}
	})
}

func TestKick(t *testing.T) {
	inWorld(t, func(w *world) {
		w.slowWalk()
		w.addContainer(otherID)
		w.setPolicy(otherID, rules(rule("EXPIRE", "> 2d", "")))
		w.fill(otherID, 9000, day)
		w.put(id, "a/1", 40*day)
		w.put(id, "b/1", 40*day)
		s, stop := w.start()
		defer stop()
		time.Sleep(1500 * time.Millisecond)
		w.setPolicy(id, rules(rule("EXPIRE", ">= 1d", "a/"), rule("ARCHIVE", ">= 30d", "b/")))
		s.Kick(id)
		s.Kick(id)
		time.Sleep(2 * time.Second) // what the other container's page takes
		synctest.Wait()
		if w.stat(id, "a/1") != nil || !w.stat(id, "b/1").InfrequentAccess {
			t.Error("a kick does not make the passes begin")
		}
		if slices.ContainsFunc(w.heard.passed(), func(p pass) bool { return p.objects == 9000 }) {
			t.Error("the test is too slow to prove anything")
		}
		s.Kick("cccccccccccccc") // there is none
		synctest.Wait()
	})
}

func TestContainersTakeTurns(t *testing.T) {
	inWorld(t, func(w *world) {
		w.slowWalk()
		w.addContainer(otherID)
		w.setPolicy(id, rules(rule("EXPIRE", "> 2d", "")))
		w.setPolicy(otherID, rules(rule("EXPIRE", ">= 1d", "")))
		w.fill(id, 9000, day)
		w.put(otherID, "a", day)
		w.sweepFor(0)
		equal(t, "what is left in the small container", w.paths(otherID))
	})
}

func TestPassesBeginEveryInterval(t *testing.T) {
	inWorld(t, func(w *world) {
		w.setPolicy(id, rules(rule("EXPIRE", ">= 1d", "")))
		w.put(id, "a", day-30*time.Minute)
		_, stop := w.start()
		defer stop()
		for _, step := range []struct {
			passes int
			there  bool
		}{{1, true}, {2, false}, {3, false}} {
			synctest.Wait()
			if len(w.heard.passed()) != step.passes || (w.stat(id, "a") != nil) != step.there {
				t.Errorf("%v, the object is there: %v, want %v", w.heard.passed(), w.stat(id, "a") != nil, step)
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestRates(t *testing.T) {
	inWorld(t, func(w *world) {
		w.config.Rate = 10
		w.setPolicy(id, rules(rule("EXPIRE", ">= 1d", "")))
		w.fill(id, 300, day)
		_, stop := w.start()
		defer stop()
		for seconds := range 15 {
			synctest.Wait()
			if gone, most := 300-len(w.paths(id)), 10*(seconds+3); gone > most || gone < most-30 {
				t.Errorf("%d are gone after %d s", gone, seconds)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestAHangingTierHoldsUpNothingElse: neither expiry nor deletion.
func TestAHangingTierHoldsUpNothingElse(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		hang := make(chan struct{})
		w.tier.after = func(string) { <-hang }
		w.setPolicy(id, rules(rule("EXPIRE", "> 15s", "t*"), rule("EXPIRE", ">= 40d", ""), rule("ARCHIVE", ">= 30d", "")))
		w.put(id, "t", 0)
		w.put(id, "a", 30*day)
		w.put(id, "b", 40*day-30*time.Minute)
		_, stop := w.start()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		equal(t, "what is left", w.paths(id), "a")
		if w.heard.swept(sweep.Expired) != 1 {
			t.Error("what has expired is there")
		}
		close(hang)
		stop()
	})
}

func TestAContainerIsRemovedInTheMiddleOfAPass(t *testing.T) {
	for _, op := range []string{"walk", "archive"} {
		inWorld(t, func(w *world) {
			w.addContainer(otherID)
			for _, id := range []mediastore.ContainerID{id, otherID} {
				w.setPolicy(id, rules(rule("EXPIRE", ">= 40d", ""), rule("ARCHIVE", ">= 30d", "")))
				w.put(id, "a", 30*day)
			}
			gone := false
			w.failWhen(func(c call) error {
				if c.op == op && c.id == id && !gone {
					gone = true
					w.removeContainer(id)
				}
				return nil
			})
			w.sweepFor(2 * time.Hour)
			if !w.stat(otherID, "a").InfrequentAccess {
				t.Error("the other container was not looked at")
			}
			if w.heard.failed != nil || !gone {
				t.Errorf("%s: failures %v, removed %v", op, w.heard.failed, gone)
			}
		})
	}
}

func (w *world) removeContainer(id mediastore.ContainerID) {
	w.t.Helper()
	ctx, name := w.t.Context(), mediastore.ContainerName(id)
	if _, err := w.DeleteObject(ctx, id, "a", mediastore.Precondition{At: time.Now()}); err != nil {
		w.t.Error(err)
	}
	if _, err := w.BeginDeleteContainer(ctx, account, name); err != nil {
		w.t.Error(err)
	}
	if err := w.RemoveContainer(ctx, account, name, time.Now()); err != nil {
		w.t.Error(err)
	}
}

func TestAContainerThatFailsDoesNotStopTheOthers(t *testing.T) {
	for _, op := range []string{"walk", "remove", "archive", "mark"} {
		inWorld(t, func(w *world) {
			w.addContainer(otherID)
			for i, id := range []mediastore.ContainerID{otherID, id} { // what fails is due first
				w.setPolicy(id, rules(rule("EXPIRE", "> 15s", "t/*"), rule("EXPIRE", ">= 1d", "a/"), rule("ARCHIVE", ">= 30d", "b/")))
				w.fill(id, 1200, day)
				for n := range 600 {
					w.put(id, mediastore.Path(fmt.Sprintf("t/%03d", n)), time.Duration(1+i)*day)
				}
				w.put(id, "b/1", 30*day)
			}
			w.failWhen(func(c call) error {
				if c.op == op && (c.id == id || op == "mark") {
					return errDisk
				}
				return nil
			})
			_, stop := w.start()
			defer stop()
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			equal(t, op+": what is left in the other", w.paths(otherID), "b/1")
			if !w.stat(otherID, "b/1").InfrequentAccess {
				t.Errorf("%s: nothing is archived in the other", op)
			}
			if due, _ := w.Engine.DueObjects(t.Context(), time.Now(), 1e4); slices.ContainsFunc(due, func(d engine.Due) bool { return d.Container == otherID }) {
				t.Errorf("%s: %d have expired and are there", op, len(due))
			}
			if n := w.log.count("level=ERROR"); n < 1 || n > 4 {
				t.Errorf("%s: %d lines in the log:\n%s", op, n, w.log.text.String())
			}
			w.failWhen(nil)
			time.Sleep(70 * time.Minute)
			synctest.Wait()
			equal(t, op+": what is left after all", w.paths(id), "b/1")
			if !w.stat(id, "b/1").InfrequentAccess {
				t.Errorf("%s: nothing is archived after all", op)
			}
			if due, _ := w.Engine.DueObjects(t.Context(), time.Now(), 1e4); len(due) != 0 {
				t.Errorf("%s: %d have expired and are there after all", op, len(due))
			}
		})
	}
}

func TestTheEngineFailsAndRecovers(t *testing.T) {
	inWorld(t, func(w *world) {
		w.setPolicy(id, rules(rule("EXPIRE", "> 15s", "t*"), rule("EXPIRE", ">= 1d", "")))
		w.put(id, "t", day)
		w.put(id, "a", day)
		w.failWhen(func(c call) error {
			if c.op == "each" || c.op == "due" {
				return errDisk
			}
			return nil
		})
		_, stop := w.start()
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := w.heard.failures(sweep.Expired); n < 100 || w.heard.failures(sweep.Deleted) != 1 {
			t.Errorf("failures: %v", w.heard.failed)
		}
		if n := w.log.count("expired objects cannot"); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
		w.failWhen(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		equal(t, "what is left", w.paths(id))
		if w.heard.swept(sweep.Expired) != 1 || w.log.count("can be removed again") != 1 {
			t.Errorf("expired: %v\n%s", w.heard.objects, w.log.text.String())
		}
	})
}
