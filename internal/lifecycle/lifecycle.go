// Package lifecycle says when an object lifecycle policy acts on an object.
//
// It turns a policy, once parsed, a path and a time of creation into the moment
// of the action. It must not know the time of day, how objects are stored, or
// how an action is carried out.
package lifecycle

import (
	"cmp"
	"slices"
	"time"

	"headwater/internal/glob"
	"headwater/internal/mediastore"
)

// Policy is a parsed object lifecycle policy. It is immutable.
//
// Its rules are of three kinds. Within a kind they stand in the order of the
// ages at which they act, so that the first that matches is the one that acts
// first.
type Policy struct {
	transient  []rule // EXPIRE after seconds
	deletion   []rule // EXPIRE after days
	transition []rule // ARCHIVE after days
}

type rule struct {
	paths []glob.Pattern
	age   time.Duration // of the object when the rule acts
}

// TransientExpiry returns the moment at which an object is gone because of a
// rule in seconds, and whether any such rule covers the path. What it covers is
// never listed. These rules hold for objects that were stored after the policy
// took effect, which the caller has to know.
func (p *Policy) TransientExpiry(path mediastore.Path, created time.Time) (time.Time, bool) {
	return due(p.transient, path, created)
}

// DeleteAt returns the moment from which an object is to be deleted because of a
// rule in days, and whether any such rule covers the path. These rules hold for
// every object, however old.
func (p *Policy) DeleteAt(path mediastore.Path, created time.Time) (time.Time, bool) {
	return due(p.deletion, path, created)
}

// ArchiveAt returns the moment from which an object belongs into the infrequent
// access storage class, and whether any rule covers the path. There is no way
// back from there.
func (p *Policy) ArchiveAt(path mediastore.Path, created time.Time) (time.Time, bool) {
	return due(p.transition, path, created)
}

// Deletes reports whether there is a rule that DeleteAt could find.
func (p *Policy) Deletes() bool { return len(p.deletion) > 0 }

// Archives reports whether there is a rule that ArchiveAt could find.
func (p *Policy) Archives() bool { return len(p.transition) > 0 }

func due(rules []rule, path mediastore.Path, created time.Time) (time.Time, bool) {
	for i := range rules {
		if glob.MatchAny(rules[i].paths, string(path)) {
			return created.Add(rules[i].age), true
		}
	}
	return time.Time{}, false
}

func (p *Policy) sort() {
	for _, rules := range [][]rule{p.transient, p.deletion, p.transition} {
		slices.SortStableFunc(rules, func(a, b rule) int { return cmp.Compare(a.age, b.age) })
	}
}
