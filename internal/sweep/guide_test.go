package sweep_test

import (
	"testing"
	"testing/synctest"
	"time"

	"headwater/internal/mediastore"
)

// TestGuide holds the sweeper against the policies that the service's guide has
// for examples, and what it says that they mean.
func TestGuide(t *testing.T) {
	const never time.Duration = 0
	type object struct {
		path           mediastore.Path
		gone, archived time.Duration // the age at which it happens
	}
	tests := []struct {
		name, policy string
		objects      []object
	}{
		{"components", rules(rule("EXPIRE", "> 28d", "Football/", "Baseball/"), rule("EXPIRE", "> 15d", "AwardsShow/"), rule("EXPIRE", "> 40d", "")), []object{
			{"Football/a/b.ts", 29 * day, never},
			{"Baseball/a.ts", 29 * day, never},
			{"AwardsShow/a.ts", 16 * day, never},
			{"Basketball/a.ts", 41 * day, never},
			{"a.ts", 41 * day, never},
		}},
		{"transient data", rules(rule("EXPIRE", "> 120s", "Football/index*.m3u8")), []object{
			{"Football/index.m3u8", 121 * time.Second, never},
			{"Football/index123456.m3u8", 121 * time.Second, never},
			{"Football/main.m3u8", never, never},
			{"Football/index.ts", never, never},
		}},
		{"expire within seconds", rules(rule("EXPIRE", "> 20s", "Football/*.m3u8")), []object{
			{"Football/a.m3u8", 21 * time.Second, never},
			{"Football/hd/a.m3u8", 21 * time.Second, never},
			{"Baseball/a.m3u8", never, never},
		}},
		{"within days", rules(rule("EXPIRE", "> 5d", "Program/*.ts")), []object{
			{"Program/a.ts", 6 * day, never},
			{"Program/a.m3u8", never, never},
			{"program/a.ts", never, never},
		}},
		{"infrequent access", rules(rule("ARCHIVE", ">= 30d", "Football/", "Baseball/")), []object{
			{"Football/a.ts", never, 30 * day},
			{"Baseball/a/b.ts", never, 30 * day},
			{"AwardsShow/a.ts", never, never},
		}},
		{"multiple rules", rules(rule("ARCHIVE", ">= 30d", "AwardsShow/"), rule("EXPIRE", "> 20s", "Football/*.m3u8"), rule("EXPIRE", "> 10d", "April"), rule("EXPIRE", "> 5d", "Program/*.ts")), []object{
			{"AwardsShow/a.ts", never, 30 * day},
			{"Football/a.ts", never, never},
			{"Aprilia/a.ts", 11 * day, never},
			{"April/a.ts", 11 * day, never},
			{"Program/a.ts", 6 * day, never},
		}},
		{"seconds among multiple rules", rules(rule("ARCHIVE", ">= 30d", "AwardsShow/"), rule("EXPIRE", "> 20s", "Football/*.m3u8")), []object{
			{"Football/a.m3u8", 21 * time.Second, never},
		}},
		{"empty container", rules(rule("EXPIRE", ">= 1d", "*")), []object{
			{"a", day, never},
			{"a/b/c", day, never},
		}},
		{"seconds and days", rules(rule("EXPIRE", "> 28d", "Football/", "Baseball/"), rule("EXPIRE", "> 8s", "AwardsShow/index*.m3u8")), []object{
			{"AwardsShow/index1.m3u8", 9 * time.Second, never},
			{"AwardsShow/1.ts", never, never},
		}},
		{"15 seconds", rules(rule("EXPIRE", "> 15s", "*.ts")), []object{{"a.ts", 16 * time.Second, never}}},
		{"at least", rules(rule("EXPIRE", ">= 15s", "*.ts"), rule("EXPIRE", ">= 300s", "*.mpd")), []object{
			{"a.ts", 15 * time.Second, never},
			{"a.mpd", 300 * time.Second, never},
		}},
		{"the earliest wins", rules(rule("EXPIRE", "> 60s", "*.ts"), rule("EXPIRE", "> 15s", "a/*"), rule("EXPIRE", ">= 1d", "a/")), []object{
			{"a/b.ts", 16 * time.Second, never},
			{"b/b.ts", 61 * time.Second, never},
		}},
		{"the earliest of days wins", rules(rule("EXPIRE", "> 9d", ""), rule("EXPIRE", ">= 3d", "a/"), rule("EXPIRE", "> 3d", "a/b*")), []object{
			{"a/b.ts", 3 * day, never},
			{"b/b.ts", 10 * day, never},
		}},
		{"deletion before archiving", rules(rule("ARCHIVE", ">= 30d", ""), rule("EXPIRE", ">= 30d", "a/"), rule("EXPIRE", "> 31d", "b/")), []object{
			{"a/a.ts", 30 * day, never},
			{"b/a.ts", 32 * day, 30 * day},
			{"c/a.ts", never, 30 * day},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				horizon := time.Minute
				for _, o := range test.objects {
					horizon = max(horizon, o.gone, o.archived)
				}
				if horizon > time.Hour {
					w.config.Poll = time.Hour // there is nothing of seconds
				}
				w.setPolicy(id, test.policy)
				for _, o := range test.objects {
					w.put(id, o.path, 0)
				}
				begun := time.Now()
				_, stop := w.start()
				defer stop()
				at := func(age time.Duration) {
					time.Sleep(time.Until(begun.Add(age)))
					synctest.Wait()
				}
				type moment struct {
					age time.Duration
					object
				}
				var moments []moment
				for _, o := range test.objects {
					for _, age := range []time.Duration{o.gone, o.archived} {
						if age != never {
							moments = append(moments, moment{age - time.Nanosecond, o}, moment{age + time.Second, o})
						}
					}
					moments = append(moments, moment{horizon + 2*time.Second, o})
				}
				sortByAge(moments, func(m moment) time.Duration { return m.age })
				for _, m := range moments {
					at(m.age)
					now := w.stat(id, m.path)
					if wantGone := m.gone != never && m.age >= m.gone; wantGone != (now == nil) {
						t.Errorf("%s at %v: gone %v, want %v", m.path, m.age, now == nil, wantGone)
					}
					wantArchived := m.archived != never && m.age >= m.archived
					if now != nil && (now.InfrequentAccess != wantArchived || now.Archived) {
						t.Errorf("%s at %v: %s, archived: %v", m.path, m.age, now.StorageClass(), now.Archived)
					}
				}
			})
		})
	}
}
