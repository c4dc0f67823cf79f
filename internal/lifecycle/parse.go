package lifecycle

import (
	"strings"
	"time"

	"headwater/internal/glob"
	"headwater/internal/strictjson"
)

// The service's limits on a policy. Lengths are in characters.
const (
	maxLength     = 8192
	maxRules      = 10
	maxPaths      = 10 // in a rule
	maxPathLength = 900
	maxSeconds    = 300
	maxDays       = 36_500
	archiveDays   = 30
)

// What paths are made of.
const (
	alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	pathAlphabet = alphanumeric + "_=:.-~/"
)

const day = 24 * time.Hour

// The actions and the operators of a policy.
const (
	expire    = "EXPIRE"
	archive   = "ARCHIVE"
	olderThan = ">"
	atLeast   = ">="
)

// Parse reads the text of a policy. It refuses what could not be carried out,
// naming the place: "LifecyclePolicy: rules[2].definition.path[0].wildcard".
//
// A rule is one of three:
//   - EXPIRE, 1 to 300 seconds, paths with wildcards only;
//   - EXPIRE, 1 to 36,500 days;
//   - ARCHIVE, with the condition [">=", 30] in days and no other.
func Parse(data []byte) (*Policy, error) {
	doc := strictjson.Parse("LifecyclePolicy: ", data, maxLength)
	doc.Fields("rules")
	policy := &Policy{}
	for _, v := range doc.Required("rules").List(1, maxRules) {
		policy.parseRule(v)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	policy.sort()
	return policy, nil
}

func (p *Policy) parseRule(v strictjson.Value) {
	v.Fields("definition", "action")
	definition := v.Required("definition")
	definition.Fields("path", "days_since_create", "seconds_since_create")
	paths := definition.Required("path")
	action := v.Required("action").OneOf(expire, archive)

	seconds, days := definition.Optional("seconds_since_create"), definition.Optional("days_since_create")
	switch {
	case seconds.Present() == days.Present():
		definition.Fail("must have either seconds_since_create or days_since_create")
	case seconds.Present():
		if action == archive {
			seconds.Fail("cannot be used with ARCHIVE, only days_since_create can")
		}
		p.transient = append(p.transient, rule{parseWildcards(paths), parseAge(seconds, maxSeconds, time.Second)})
	case action == archive:
		p.transition = append(p.transition, rule{parsePaths(paths), parseArchiveAge(days)})
	default:
		p.deletion = append(p.deletion, rule{parsePaths(paths), parseAge(days, maxDays, day)})
	}
}

// parseAge reads a condition on the age and returns the age at which it begins
// to hold. Ages are whole numbers of units: more than 15 seconds is 16 seconds.
func parseAge(v strictjson.Value, most int64, unit time.Duration) time.Duration {
	operator, n := parseNumeric(v, most)
	if operator == olderThan {
		n++
	}
	return time.Duration(n) * unit
}

func parseArchiveAge(v strictjson.Value) time.Duration {
	if operator, n := parseNumeric(v, maxDays); operator != atLeast || n != archiveDays {
		v.Fail(`must be [{"numeric": [">=", %d]}] with ARCHIVE`, archiveDays)
	}
	return archiveDays * day
}

// parseNumeric reads a condition: [{"numeric": [operator, n]}].
func parseNumeric(v strictjson.Value, most int64) (operator string, n int64) {
	for _, condition := range v.List(1, 1) {
		condition.Fields("numeric")
		if pair := condition.Required("numeric").List(2, 2); pair != nil {
			return pair[0].OneOf(olderThan, atLeast), pair[1].Int(1, most)
		}
	}
	return "", 0
}

// parsePaths reads what a rule covers: prefixes or wildcards, not both.
func parsePaths(v strictjson.Value) (patterns []glob.Pattern) {
	entries := v.List(1, maxPaths)
	for _, entry := range entries {
		entry.Fields("prefix", "wildcard")
		prefix, wildcard := entry.Optional("prefix"), entry.Optional("wildcard")
		if prefix.Present() == wildcard.Present() {
			entry.Fail("must have either prefix or wildcard")
		}
		if prefix.Present() != entries[0].Optional("prefix").Present() {
			entry.Fail("mixes prefix and wildcard in one rule")
		}
		if prefix.Present() {
			patterns = append(patterns, glob.Compile(parsePrefix(prefix)+"*"))
		} else {
			patterns = append(patterns, glob.Compile(parseWildcard(wildcard)))
		}
	}
	return patterns
}

// parseWildcards is parsePaths for the rules that may not have prefixes.
func parseWildcards(v strictjson.Value) []glob.Pattern {
	for _, entry := range v.List(1, maxPaths) {
		if prefix := entry.Optional("prefix"); prefix.Present() {
			prefix.Fail("cannot be used with seconds_since_create, only wildcard can")
		}
	}
	return parsePaths(v)
}

// parsePrefix reads what a path must begin with. The empty prefix is the whole
// container.
func parsePrefix(v strictjson.Value) string {
	return parsePath(v, pathAlphabet)
}

func parseWildcard(v strictjson.Value) string {
	wildcard := parsePath(v, pathAlphabet+"*")
	if wildcard == "" {
		v.Fail("must not be empty: * is the whole container")
	}
	return wildcard
}

// parsePath reads a path without its leading slash, which means nothing.
func parsePath(v strictjson.Value, alphabet string) string {
	path := strings.TrimPrefix(v.String(0, maxLength), "/")
	if len(path) > maxPathLength {
		v.Fail("has more than %d characters", maxPathLength)
	}
	if strings.Trim(path, alphabet) != "" {
		v.Fail("may only use letters, digits and %s", strings.TrimPrefix(alphabet, alphanumeric))
	}
	return path
}
