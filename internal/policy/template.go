package policy

import (
	"errors"
	"strings"
)

// syntax says what has a meaning in a piece of text.
type syntax struct {
	wildcards bool // * and ?
	variables bool // ${key}, ${key, 'default'}, ${*}, ${?}, ${$}
}

// template is text of a policy, cut into what stands for itself and what does
// not.
type template struct {
	parts   []part
	dynamic bool // there are variables in it
}

type partKind uint8

const (
	literal  partKind = iota
	anyOne            // ?: one character
	anyRun            // *: any number of characters, also none
	variable          // what the request has under a key
)

type part struct {
	kind     partKind
	text     string // of a literal; of a variable its default
	key      key    // of a variable
	optional bool   // a variable has a default
}

// parseTemplate fails only on a malformed policy variable.
func parseTemplate(s string, syn syntax) (template, error) {
	var t template
	for s != "" {
		n, err := t.parseNext(s, syn)
		if err != nil {
			return template{}, err
		}
		s = s[n:]
	}
	return t, nil
}

// parseNext adds what s begins with and returns its length.
func (t *template) parseNext(s string, syn syntax) (int, error) {
	n := literalLength(s, syn)
	switch {
	case n > 0:
		t.add(part{kind: literal, text: s[:n]})
		return n, nil
	case s[0] == '*':
		t.add(part{kind: anyRun})
		return 1, nil
	case s[0] == '?':
		t.add(part{kind: anyOne})
		return 1, nil
	default:
		p, n, err := parseVariable(s)
		t.add(p)
		return n, err
	}
}

// literalLength returns where in s the first character with a meaning is.
func literalLength(s string, syn syntax) int {
	for i := range len(s) {
		if syn.wildcards && (s[i] == '*' || s[i] == '?') || syn.variables && strings.HasPrefix(s[i:], "${") {
			return i
		}
	}
	return len(s)
}

func (t *template) add(p part) {
	t.dynamic = t.dynamic || p.kind == variable
	t.parts = append(t.parts, p)
}

var errVariable = errors.New("has a malformed policy variable: it must be like ${aws:username}, ${aws:username, 'default'}, ${*}, ${?} or ${$}")

// parseVariable reads the variable that s begins with and returns its length.
func parseVariable(s string) (p part, length int, err error) {
	end := strings.IndexAny(s, ",}")
	if end < 0 {
		return part{}, 0, errVariable
	}
	name := s[len("${"):end]
	if s[end] == ',' {
		return parseDefault(name, s, end+1)
	}
	if name == "*" || name == "?" || name == "$" {
		return part{kind: literal, text: name}, end + 1, nil
	}
	if !isKey(name) {
		return part{}, 0, errVariable
	}
	return part{kind: variable, key: findKey(name)}, end + 1, nil
}

// parseDefault reads what follows the comma at s[:i]: spaces, a text in single
// quotes, a closing brace.
func parseDefault(name, s string, i int) (p part, length int, err error) {
	rest := strings.TrimLeft(s[i:], " ")
	text, after, ok := strings.Cut(strings.TrimPrefix(rest, "'"), "'")
	if !isKey(name) || !strings.HasPrefix(rest, "'") || !ok || !strings.HasPrefix(after, "}") {
		return part{}, 0, errVariable
	}
	p = part{kind: variable, key: findKey(name), text: text, optional: true}
	return p, len(s) - len(after) + 1, nil
}

// matches reports whether the template, with its variables replaced by what the
// request has, describes text. What replaces a variable stands for itself, also
// where it has wildcards in it.
func (t *template) matches(r *Request, text string, fold caseRule) bool {
	parts := t.parts
	if t.dynamic {
		var ok bool
		if parts, ok = t.expand(r); !ok {
			return false
		}
	}
	return match(parts, text, fold)
}

// expand returns the parts with variables replaced, and false when one cannot
// be: its key is missing without a default, or has several values.
func (t *template) expand(r *Request) ([]part, bool) {
	parts := make([]part, len(t.parts))
	for i, p := range t.parts {
		if p.kind == variable {
			values := p.key.values(r)
			switch {
			case values.len() == 1:
				p.text = values.at(0).String()
			case values.len() > 1 || !p.optional:
				return nil, false
			}
			p.kind = literal
		}
		parts[i] = p
	}
	return parts, true
}
