package lifecycle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/lifecycle"
	"headwater/internal/mediastore"
)

// document returns a policy of the given rules.
func document(rules ...string) string { return `{"rules":[` + strings.Join(rules, ",") + `]}` }

// rule returns a rule with the given path, condition and action.
func rule(path, condition, action string) string {
	return fmt.Sprintf(`{"definition":{"path":%s,%s},"action":"%s"}`, path, condition, action)
}

const (
	anyPrefix   = `[{"prefix":""}]`
	anyWildcard = `[{"wildcard":"*"}]`
	someSeconds = `"seconds_since_create":[{"numeric":[">",15]}]`
	someDays    = `"days_since_create":[{"numeric":[">",15]}]`
	thirtyDays  = `"days_since_create":[{"numeric":[">=",30]}]`
)

func prefixed(prefix string) string {
	return document(rule(`[{"prefix":"`+prefix+`"}]`, someDays, "EXPIRE"))
}

func wild(wildcard string) string {
	return document(rule(`[{"wildcard":"`+wildcard+`"}]`, someSeconds, "EXPIRE"))
}

func aged(condition, action string) string { return document(rule(anyWildcard, condition, action)) }

func seconds(pair string) string {
	return aged(`"seconds_since_create":[{"numeric":`+pair+`}]`, "EXPIRE")
}

func days(pair, action string) string {
	return aged(`"days_since_create":[{"numeric":`+pair+`}]`, action)
}

// times returns n copies of a rule or path, joined.
func times(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }

// padded returns a valid policy of n characters.
func padded(n int) string { return prefixed("") + strings.Repeat(" ", n-len(prefixed(""))) }

func TestParseAccepts(t *testing.T) {
	long := strings.Repeat("a", 900)
	for name, text := range map[string]string{
		"days, prefix":          document(rule(anyPrefix, someDays, "EXPIRE")),
		"days, wildcard":        document(rule(anyWildcard, someDays, "EXPIRE")),
		"seconds, wildcard":     document(rule(anyWildcard, someSeconds, "EXPIRE")),
		"archive, prefix":       document(rule(anyPrefix, thirtyDays, "ARCHIVE")),
		"archive, wildcard":     document(rule(anyWildcard, thirtyDays, "ARCHIVE")),
		"10 rules":              document(times(10, rule(anyPrefix, someDays, "EXPIRE"))),
		"10 paths":              document(rule("["+times(10, `{"prefix":"a"}`)+"]", someDays, "EXPIRE")),
		"8192 characters":       padded(8192),
		"1 second":              seconds(`[">=",1]`),
		"300 seconds":           seconds(`[">",300]`),
		"1 day":                 days(`[">",1]`, "EXPIRE"),
		"36500 days":            days(`[">=",36500]`, "EXPIRE"),
		"prefix of one slash":   prefixed("/"),
		"prefix of 900":         prefixed(long),
		"prefix of 900, slash":  prefixed("/" + long),
		"wildcard of 900":       wild(long[1:] + "*"),
		"every letter":          prefixed("azAZ09_=:.-~/"),
		"every letter, star":    wild("azAZ09_=:.-~/*"),
		"wildcard with no star": wild("a/b.ts"),
		"null for a missing":    document(rule(anyPrefix, someDays+`,"seconds_since_create":null`, "EXPIRE")),
	} {
		if _, err := lifecycle.Parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const (
		root       = "LifecyclePolicy"
		first      = "LifecyclePolicy: rules[0]"
		definition = first + ".definition"
		secondsAt  = definition + ".seconds_since_create"
		daysAt     = definition + ".days_since_create"
		pathAt     = definition + ".path"
	)
	tests := []struct{ text, field, message string }{
		{"", root, "must not be empty"},
		{" ", root, "is not JSON"},
		{padded(8193), root, "has 8193 characters: at most 8192"},
		{`[]`, root, "must be an object"},
		{`{}`, root + ": rules", "is required"},
		{`{"rules":[],"version":1}`, root, `unknown field "version"`},
		{`{"rules":[],"rules":[]}`, root, `the field "rules" twice`},
		{document(), root + ": rules", "1 to 10 elements, not 0"},
		{document(times(11, rule(anyPrefix, someDays, "EXPIRE"))), root + ": rules", "1 to 10 elements, not 11"},
		{document("1"), first, "must be an object"},
		{document(`{"definition":{},"action":"EXPIRE","id":1}`), first, `unknown field "id"`},
		{document(`{"action":"EXPIRE"}`), definition, "is required"},
		{document(rule(anyPrefix, someDays, "DELETE")), first + ".action", "must be EXPIRE or ARCHIVE"},
		{document(`{"definition":{"path":` + anyPrefix + `,` + someDays + `}}`), first + ".action", "is required"},
		{document(rule(anyPrefix, someDays, "EXPIRE"), rule(anyPrefix, someDays, "")), root + ": rules[1].action", "must be EXPIRE or"},
		{aged(`"hours_since_create":[]`, "EXPIRE"), definition, `unknown field "hours_since_create"`},
		{document(rule("null", someDays, "EXPIRE")), pathAt, "is required"},
		{document(rule(anyWildcard, someDays+","+someSeconds, "EXPIRE")), definition, "either seconds_since_create or days"},
		{document(`{"definition":{"path":` + anyPrefix + `},"action":"EXPIRE"}`), definition, "either seconds_since_create or days"},

		{aged(`"seconds_since_create":[]`, "EXPIRE"), secondsAt, "1 element, not 0"},
		{aged(`"seconds_since_create":[`+times(2, `{"numeric":[">",1]}`)+`]`, "EXPIRE"), secondsAt, "1 element, not 2"},
		{aged(`"seconds_since_create":{"numeric":[">",1]}`, "EXPIRE"), secondsAt, "must be a list"},
		{aged(`"seconds_since_create":[{"numeric":[">",1],"x":1}]`, "EXPIRE"), secondsAt + "[0]", `unknown field "x"`},
		{aged(`"seconds_since_create":[{}]`, "EXPIRE"), secondsAt + "[0].numeric", "is required"},
		{seconds(`[">"]`), secondsAt + "[0].numeric", "2 elements, not 1"},
		{seconds(`[">",1,"<",9]`), secondsAt + "[0].numeric", "2 elements, not 4"},
		{seconds(`["<",1]`), secondsAt + "[0].numeric[0]", "must be > or >="},
		{seconds(`["=",1]`), secondsAt + "[0].numeric[0]", "must be > or >="},
		{seconds(`[1,">"]`), secondsAt + "[0].numeric[0]", "must be > or >="},
		{seconds(`[">",0]`), secondsAt + "[0].numeric[1]", "integer from 1 to 300"},
		{seconds(`[">",301]`), secondsAt + "[0].numeric[1]", "integer from 1 to 300"},
		{seconds(`[">",1.5]`), secondsAt + "[0].numeric[1]", "integer from 1 to 300"},
		{seconds(`[">","1"]`), secondsAt + "[0].numeric[1]", "integer from 1 to 300"},
		{days(`[">",0]`, "EXPIRE"), daysAt + "[0].numeric[1]", "integer from 1 to 36500"},
		{days(`[">",36501]`, "EXPIRE"), daysAt + "[0].numeric[1]", "integer from 1 to 36500"},

		{aged(someSeconds, "ARCHIVE"), secondsAt, "cannot be used with ARCHIVE"},
		{days(`[">",30]`, "ARCHIVE"), daysAt, `must be [{"numeric": [">=", 30]}]`},
		{days(`[">=",29]`, "ARCHIVE"), daysAt, `must be [{"numeric": [">=", 30]}]`},
		{days(`[">=",31]`, "ARCHIVE"), daysAt, `must be [{"numeric": [">=", 30]}]`},

		{document(rule("[]", someDays, "EXPIRE")), pathAt, "1 to 10 elements, not 0"},
		{document(rule("["+times(11, `{"prefix":"a"}`)+"]", someDays, "EXPIRE")), pathAt, "1 to 10 elements, not 11"},
		{document(rule(`["a"]`, someDays, "EXPIRE")), pathAt + "[0]", "must be an object"},
		{document(rule(`[{}]`, someDays, "EXPIRE")), pathAt + "[0]", "either prefix or wildcard"},
		{document(rule(`[{"suffix":"a"}]`, someDays, "EXPIRE")), pathAt + "[0]", `unknown field "suffix"`},
		{document(rule(`[{"prefix":"a","wildcard":"a"}]`, someDays, "EXPIRE")), pathAt + "[0]", "either prefix or wildcard"},
		{document(rule(`[{"prefix":"a"},{"wildcard":"a"}]`, someDays, "EXPIRE")), pathAt + "[1]", "mixes prefix and wildcard"},
		{document(rule(`[{"wildcard":"a"},{"prefix":"a"}]`, someDays, "EXPIRE")), pathAt + "[1]", "mixes prefix and wildcard"},
		{document(rule(`[{"wildcard":"a"},{"prefix":"a"}]`, someSeconds, "EXPIRE")), pathAt + "[1].prefix", "only wildcard can"},
		{document(rule(anyPrefix, someSeconds, "EXPIRE")), pathAt + "[0].prefix", "only wildcard can"},
		{document(rule(`[{"prefix":1}]`, someDays, "EXPIRE")), pathAt + "[0].prefix", "must be a string"},
		{prefixed(strings.Repeat("a", 901)), pathAt + "[0].prefix", "more than 900 characters"},
		{prefixed("/" + strings.Repeat("a", 901)), pathAt + "[0].prefix", "more than 900 characters"},
		{wild(strings.Repeat("a", 900) + "*"), pathAt + "[0].wildcard", "more than 900 characters"},
		{prefixed("a*"), pathAt + "[0].prefix", "letters, digits and _=:.-~/"},
		{prefixed("a b"), pathAt + "[0].prefix", "letters, digits and _=:.-~/"},
		{prefixed("ä"), pathAt + "[0].prefix", "letters, digits and _=:.-~/"},
		{wild("a?"), pathAt + "[0].wildcard", "letters, digits and _=:.-~/*"},
		{wild("a\\u0000"), pathAt + "[0].wildcard", "letters, digits and _=:.-~/*"},
		{wild(""), pathAt + "[0].wildcard", "must not be empty"},
		{wild("/"), pathAt + "[0].wildcard", "must not be empty"},
	}
	for _, test := range tests {
		_, err := lifecycle.Parse([]byte(test.text))
		var e *mediastore.Error
		if !errors.As(err, &e) || e.Kind != mediastore.KindInvalid || e.Field != test.field || !strings.Contains(e.Message, test.message) {
			t.Errorf("%.120s: %v\nwant %s: %s", test.text, err, test.field, test.message)
		}
	}
}

// FuzzParse: no document makes it panic, one that it accepts is accepted again
// after another program has re-encoded it, and then acts at the same moments.
func FuzzParse(f *testing.F) {
	f.Add(policy, "sports/index.m3u8")
	f.Add(prefixed("/"), "a")
	f.Add(wild("*a*b*"), "xaybz")
	f.Add(days(`[">=",30]`, "ARCHIVE"), "\xff")
	f.Add(document(rule(`[{"wildcard":"a"},{"prefix":"a"}]`, someSeconds, "EXPIRE")), "")
	f.Add(`{"rules":[null]}`, "")
	f.Fuzz(func(t *testing.T, text, path string) {
		first, err := lifecycle.Parse([]byte(text))
		if err != nil {
			if first != nil || !mediastore.IsKind(err, mediastore.KindInvalid) {
				t.Fatalf("%q: %v, %v", text, first, err)
			}
			return
		}
		second, err := lifecycle.Parse(reencode(t, text))
		if err != nil {
			t.Fatalf("%q is refused when re-encoded: %v", text, err)
		}
		got := moments(first, mediastore.Path(path))
		if diff := cmp.Diff(got, moments(second, mediastore.Path(path))); diff != "" {
			t.Errorf("%q acts otherwise when re-encoded:\n%s", text, diff)
		}
		for _, at := range got {
			if !at.IsZero() && !at.After(epoch()) {
				t.Errorf("%q acts on %q before it exists, at %v", text, path, at)
			}
		}
	})
}

func moments(p *lifecycle.Policy, path mediastore.Path) []time.Time {
	transient, _ := p.TransientExpiry(path, epoch())
	deletion, _ := p.DeleteAt(path, epoch())
	archiving, _ := p.ArchiveAt(path, epoch())
	return []time.Time{transient, deletion, archiving}
}

func reencode(t *testing.T, text string) []byte {
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatalf("%q was accepted: %v", text, err)
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(tree); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}
