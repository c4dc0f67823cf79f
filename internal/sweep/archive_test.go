package sweep_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"headwater/internal/mediastore"
	"headwater/internal/sweep"
)

var archiveAll = rules(rule("ARCHIVE", ">= 30d", ""))

func name(o mediastore.Object) string { return mediastore.ArchiveName(id, o.ETag) }

// consistent reports bytes that are lost, and bytes in the tier that nobody has.
func (w *world) consistent() {
	w.t.Helper()
	owned := w.leftovers()
	for _, path := range w.paths(id) {
		o := w.stat(id, path)
		r, err := w.Engine.OpenObject(w.t.Context(), id, path)
		if err != nil {
			w.t.Fatal(err)
		}
		body := make([]byte, o.Size)
		_, err = r.ReadAt(body, 0)
		if o.Archived {
			owned = append(owned, name(*o))
			w.tier.mu.Lock()
			body, err = []byte(w.tier.bytes[name(*o)]), nil
			w.tier.mu.Unlock()
		}
		if err != nil && !errors.Is(err, io.EOF) || sha256.Sum256(body) != o.SHA256 {
			w.t.Errorf("%s, archived: %v: its bytes are lost: %v", path, o.Archived, err)
		}
		r.Close()
	}
	for _, n := range w.tier.names() {
		if !slices.Contains(owned, n) {
			w.t.Errorf("%s is in the tier, and nobody knows", n)
		}
	}
}

func TestArchivingWithoutATierMarks(t *testing.T) {
	inWorld(t, func(w *world) {
		w.setPolicy(id, archiveAll)
		w.put(id, "old", 30*day)
		w.put(id, "young", 29*day)
		w.sweepFor(3 * time.Hour)
		for path, want := range map[mediastore.Path]bool{"old": true, "young": false} {
			if o := w.stat(id, path); o.InfrequentAccess != want || o.Archived {
				t.Errorf("%s: %+v", path, o)
			}
		}
		if n := len(w.calls("archive")); n != 1 || w.heard.swept(sweep.Archived) != 1 {
			t.Errorf("%d calls, %v", n, w.heard.objects)
		}
		w.useTier() // later, what was marked moves
		w.sweepFor(time.Minute)
		if !w.stat(id, "old").Archived {
			t.Error("what was marked has not moved")
		}
		w.consistent()
	})
}

func TestArchivingMovesBytes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		w.setPolicy(id, rules(rule("ARCHIVE", ">= 30d", "a/"), rule("EXPIRE", ">= 40d", "")))
		old := w.put(id, "a/old", 30*day)
		w.put(id, "a/young", 29*day)
		w.put(id, "b/old", 30*day)
		w.put(id, "a/due", 40*day)
		w.sweepFor(3 * time.Hour)
		equal(t, "in the tier", w.tier.names(), name(old))
		equal(t, "leftovers", w.leftovers())
		if o := w.stat(id, "a/old"); !o.Archived || !o.InfrequentAccess {
			t.Errorf("%+v", o)
		}
		if w.tier.puts != 1 || w.heard.bytes[sweep.Archived] != old.Size {
			t.Errorf("%d puts, %d bytes", w.tier.puts, w.heard.bytes[sweep.Archived])
		}
		equal(t, "events", w.removed(), "a/due")
		w.consistent()
	})
}

func TestArchiveRate(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		w.config.ArchiveRate = 10
		w.setPolicy(id, archiveAll)
		var size time.Duration
		for _, path := range w.fill(id, 20, 30*day) {
			size += time.Duration(w.stat(id, path).Size)
		}
		took := size*time.Second/10 - time.Second // less what may go in a burst
		_, stop := w.start()
		defer stop()
		time.Sleep(took - time.Second)
		synctest.Wait()
		if n := w.heard.swept(sweep.Archived); n == 20 || n < 15 {
			t.Errorf("%d have moved after %v", n, took)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := w.heard.swept(sweep.Archived); n != 20 {
			t.Errorf("%d have moved after %v", n, took)
		}
	})
}

func TestMarksKeepToTheRate(t *testing.T) {
	inWorld(t, func(w *world) {
		w.config.Rate = 10
		w.setPolicy(id, archiveAll)
		w.fill(id, 100, 30*day)
		w.sweepFor(4500 * time.Millisecond)
		if n := w.heard.swept(sweep.Archived); n < 30 || n > 60 {
			t.Errorf("%d are marked", n)
		}
	})
}

// TestThePolicyIsDeletedInTheMiddleOfAPage: of one that takes long.
func TestThePolicyIsDeletedInTheMiddleOfAPage(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		w.tier.after = func(string) { time.Sleep(100 * time.Millisecond) }
		w.setPolicy(id, archiveAll)
		w.fill(id, 100, 30*day)
		_, stop := w.start()
		defer stop()
		time.Sleep(3500 * time.Millisecond)
		w.setPolicy(id, "")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := w.heard.swept(sweep.Archived); n < 30 || n > 46 {
			t.Errorf("%d have moved", n)
		}
	})
}

func TestTheTierFailsAndRecovers(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		w.setPolicy(id, archiveAll)
		w.fill(id, 200, 30*day)
		w.tier.setFail(func(string, string) error { return errDisk })
		_, stop := w.start()
		defer stop()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n := w.heard.failures(sweep.Archived); n < 5 || n > 20 || w.log.count("cannot be carried out") != 1 {
			t.Errorf("%d tries\n%s", n, w.log.text.String())
		}
		w.consistent()
		w.tier.setFail(nil)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := w.heard.swept(sweep.Archived); n < 180 {
			t.Errorf("%d have moved soon after the tier is back", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := w.heard.swept(sweep.Archived); n != 200 {
			t.Errorf("%d have moved", n)
		}
		w.consistent()
		equal(t, "leftovers", w.leftovers())
	})
}

// TestABadObjectIsPassedOver: one whose bytes the tier will never take.
func TestABadObjectIsPassedOver(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		w.setPolicy(id, archiveAll)
		w.fill(id, 3, 30*day)
		bad := name(*w.stat(id, "a/0001"))
		w.tier.setFail(func(op, n string) error {
			if op == "put" && n == bad {
				return errDisk
			}
			return nil
		})
		w.sweepFor(time.Minute)
		if w.heard.swept(sweep.Archived) != 2 || w.stat(id, "a/0001").Archived {
			t.Errorf("%v", w.heard.objects)
		}
		w.consistent()
	})
}

func TestAVersionReplacedWhileItIsArchivedLeavesALeftover(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		w.setPolicy(id, archiveAll)
		old := w.put(id, "a", 30*day)
		w.tier.after = func(string) { w.put(id, "a", 0) }
		_, stop := w.start()
		defer stop()
		time.Sleep(14 * time.Minute)
		synctest.Wait()
		if o := w.stat(id, "a"); o.ETag == old.ETag || o.InfrequentAccess {
			t.Errorf("%+v", o)
		}
		equal(t, "in the tier within the grace", w.tier.names(), name(old))
		equal(t, "leftovers within the grace", w.leftovers(), name(old))
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		equal(t, "in the tier after the grace", w.tier.names())
		equal(t, "leftovers after the grace", w.leftovers())
		if w.heard.failed != nil || w.heard.swept(sweep.Collected) != 1 || w.heard.swept(sweep.Archived) != 0 {
			t.Errorf("%v, %v", w.heard.failed, w.heard.objects)
		}
	})
}

func TestAVersionReplacedBeforeItIsOpenedIsLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		w.setPolicy(id, archiveAll)
		w.put(id, "a", 30*day)
		w.failWhen(func(c call) error {
			if c.op == "open" {
				w.put(id, "a", 0)
			}
			return nil
		})
		w.sweepFor(time.Minute)
		if w.tier.puts != 0 || w.heard.failed != nil || w.stat(id, "a").Archived {
			t.Errorf("%d puts, %v", w.tier.puts, w.heard.failed)
		}
	})
}

func TestBytesOfADeletedObjectLeaveTheTierAfterTheGrace(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		w.setPolicy(id, rules(rule("ARCHIVE", ">= 30d", ""), rule("EXPIRE", ">= 31d", "")))
		w.put(id, "a", 31*day-time.Hour)
		_, stop := w.start()
		defer stop()
		synctest.Wait()
		if !w.stat(id, "a").Archived {
			t.Fatal("not archived")
		}
		time.Sleep(time.Hour + 14*time.Minute)
		synctest.Wait()
		if w.stat(id, "a") != nil || len(w.tier.names()) != 1 {
			t.Errorf("within the grace: %v, %v", w.stat(id, "a"), w.tier.names())
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		equal(t, "in the tier after the grace", w.tier.names())
	})
}

// TestARestartInTheMiddleOfAMove: the bytes are in the tier, and the version does
// not know; much later they are put again, and are nobody's leftover.
func TestARestartInTheMiddleOfAMove(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		w.setPolicy(id, archiveAll)
		o := w.put(id, "a", 30*day)
		w.failWhen(func(c call) error {
			if c.op == "archive" {
				return errDisk
			}
			return nil
		})
		w.sweepFor(time.Second)
		equal(t, "leftovers", w.leftovers(), name(o))
		time.Sleep(day)
		w.failWhen(nil)
		_, stop := w.start()
		defer stop()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		equal(t, "in the tier", w.tier.names(), name(o))
		equal(t, "leftovers", w.leftovers())
		if !w.stat(id, "a").Archived {
			t.Error("not archived")
		}
		w.consistent()
	})
}

// TestManyLeftovers: more than one collection takes, some of which the tier does
// not let go of.
func TestManyLeftovers(t *testing.T) {
	inWorld(t, func(w *world) {
		w.useTier()
		for i := range 1000 {
			n := fmt.Sprintf("%s/%04d", id, i)
			w.tier.bytes[n] = "x"
			if err := w.Engine.NoteLeftover(t.Context(), n, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		stuck := fmt.Sprintf("%s/%04d", id, 0)
		w.tier.setFail(func(op, n string) error {
			if op == "remove" && n == stuck {
				return errDisk
			}
			return nil
		})
		time.Sleep(16 * time.Minute)
		_, stop := w.start()
		defer stop()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		equal(t, "in the tier", w.tier.names(), stuck)
		equal(t, "leftovers", w.leftovers(), stuck)
		if w.heard.failures(sweep.Collected) != 1 {
			t.Errorf("failures: %v", w.heard.failed)
		}
		w.tier.setFail(nil)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		equal(t, "in the tier at last", w.tier.names())
		equal(t, "leftovers at last", w.leftovers())
		if w.heard.swept(sweep.Collected) != 1000 {
			t.Errorf("%v", w.heard.objects)
		}
	})
}

// again is a tier whose first try fails half way, as networks do.
type again struct{ *tier }

func (a again) Put(ctx context.Context, name string, body io.Reader, size int64, sum [32]byte) error {
	if _, err := io.ReadFull(body, make([]byte, size/2)); err != nil {
		return err
	}
	if _, err := body.(io.Seeker).Seek(0, io.SeekStart); err != nil {
		return err
	}
	return a.tier.Put(ctx, name, body, size, sum)
}

func TestABodyCanBeSentAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.config.Archive = again{w.tier}
		w.setPolicy(id, archiveAll)
		w.put(id, "a", 30*day)
		w.sweepFor(time.Minute)
		if !w.stat(id, "a").Archived {
			t.Error("not archived")
		}
		w.consistent()
	})
}

// TestAnEndAtEveryCall: wherever a sweeper is ended, or fails, no bytes are lost,
// and the next one brings everything to its end.
func TestAnEndAtEveryCall(t *testing.T) {
	for _, way := range []string{"ends", "fails"} {
		for at, more := 0, true; more; at++ {
			inWorld(t, func(w *world) {
				w.useTier()
				w.setPolicy(id, rules(rule("EXPIRE", "> 15s", "t*"), rule("EXPIRE", ">= 40d", ""), rule("ARCHIVE", ">= 30d", "")))
				w.put(id, "t", day)
				w.put(id, "gone", 40*day)
				w.fill(id, 3, 30*day)
				w.put(id, "young", 0)
				more = w.interrupt(way, at)
				w.consistent()
				w.sweepFor(2 * time.Hour)
				w.consistent()
				equal(t, "what is left", w.paths(id), "a/0000", "a/0001", "a/0002", "young")
				equal(t, "leftovers", w.leftovers())
				if len(w.tier.names()) != 3 || w.heard.swept(sweep.Expired) != 1 {
					t.Errorf("%s at %d: %v, %v", way, at, w.tier.names(), w.heard.objects)
				}
			})
		}
	}
}

// interrupt runs a sweeper until its call of that number, of the engine or the
// tier, at which it ends or which fails. It reports whether there was that call.
func (w *world) interrupt(way string, at int) (reached bool) {
	s := sweep.New(w.config)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	calls := 0
	count := func() error {
		w.tier.mu.Lock()
		defer w.tier.mu.Unlock()
		calls++
		if calls-1 != at {
			return nil
		}
		reached = true
		cancel()
		if way == "fails" {
			return errDisk
		}
		return nil
	}
	w.failWhen(func(call) error { return count() })
	w.tier.after = func(string) { _ = count() }
	time.AfterFunc(time.Second, cancel)
	s.Run(ctx)
	w.failWhen(nil)
	w.tier.after = nil
	return reached
}
