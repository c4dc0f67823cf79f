package wiremodel

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"headwater/internal/mediastore"
)

const (
	// maxMessage is how many characters of a message reach a client.
	maxMessage = 255
	// maxValue is how many characters of a value are quoted.
	maxValue = 50
	// maxReported is how many violations a message describes. All are counted.
	maxReported = 10
)

const ruleNotNull = "Member must not be null"

func ruleEnum(values []string) string {
	return "Member must satisfy enum value set: [" + strings.Join(values, ", ") + "]"
}

// place is where a value is: a member of a structure, or a member of a list.
type place struct {
	in    *place // nil at the top
	name  string // empty in a list
	index int    // in a list, from 1
}

// String writes a place as AWS does: tags.1.member.key.
func (p *place) String() string {
	s := strconv.Itoa(p.index) + ".member"
	if p.index == 0 {
		s = lowerFirst(cut(p.name, maxValue))
	}
	if p.in == nil {
		return s
	}
	return p.in.String() + "." + s
}

func lowerFirst(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToLower(r)) + s[size:]
}

// violation is one broken constraint.
type violation struct {
	place string
	value any
	rule  string
}

func (c *checker) violate(at *place, v any, rule string) {
	c.count++
	if len(c.violations) < maxReported {
		c.violations = append(c.violations, violation{at.String(), v, rule})
	}
}

func (c *checker) invalid() *mediastore.Error {
	head := fmt.Sprintf("%d validation errors detected: ", c.count)
	if c.count == 1 {
		head = "1 validation error detected: "
	}
	var texts []string
	for _, v := range c.violations {
		texts = append(texts, v.text(maxMessage-len(head)))
	}
	return mediastore.Errorf(mediastore.KindInvalid, "%s%s", head, strings.Join(texts, "; "))
}

// text describes a violation. The value gives way where the whole would not fit
// into room characters: which constraint was broken is worth more.
func (v *violation) text(room int) string {
	rest := fmt.Sprintf(" at '%s' failed to satisfy constraint: %s", v.place, v.rule)
	room -= len("Value ''") + utf8.RuneCountInString(rest)
	return "Value " + quote(v.value, min(room, maxValue)) + rest
}

// quote renders a value in at most limit characters and its quotes.
func quote(v any, limit int) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "'" + cut(v, limit) + "'"
	case json.Number:
		return "'" + cut(string(v), limit) + "'"
	case []any:
		return fmt.Sprintf("'[%d members]'", len(v))
	case map[string]any:
		return fmt.Sprintf("'{%d members}'", len(v))
	}
	return fmt.Sprintf("'%v'", v)
}

const ellipsis = "..."

// cut returns s if it has at most limit characters, and what fits of its
// beginning if it has more. Characters that cannot be printed become "?".
func cut(s string, limit int) string {
	keep, n := 0, 0
	for i := range s {
		if n <= limit-len(ellipsis) {
			keep = i
		}
		if n == max(limit, len(ellipsis)) {
			return printable(s[:keep]) + ellipsis
		}
		n++
	}
	return printable(s)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// TypeError says that a value has the wrong JSON type, so that it cannot be held
// against its constraints.
type TypeError struct {
	Place string // as in tags.1.member.key
	Want  string // "a list"
	Got   string // "a string"
}

// Error says so in a sentence for the client.
func (e *TypeError) Error() string {
	return fmt.Sprintf("Value at '%s' must be %s and is %s", e.Place, e.Want, e.Got)
}

func (c *checker) mistype(at *place, want string, v any) {
	if c.wrong == nil {
		c.wrong = &TypeError{Place: at.String(), Want: want, Got: jsonType(v)}
	}
}

func jsonType(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case json.Number:
		return "the number " + cut(string(v), maxValue)
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("%T", v)
}
