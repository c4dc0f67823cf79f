package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"headwater/internal/mediastore"
)

// maxDepth is how deeply a document may nest. The language itself needs six
// levels: document, list of statements, statement, Condition, operator, values.
const maxDepth = 8

// maxQuoted bounds what of a document an error repeats, in bytes, so that the
// rule which was broken still fits into the message.
const maxQuoted = 60

// place is somewhere in a document, for errors: "Policy: Statement[0].Effect".
type place struct{ document, path string }

func (p place) member(name string) place {
	if p.path == "" {
		return place{p.document, short(name)}
	}
	return place{p.document, p.path + "." + short(name)}
}

func (p place) index(i int) place {
	return place{p.document, fmt.Sprintf("%s[%d]", p.path, i)}
}

func (p place) errorf(format string, args ...any) error {
	field := p.document
	if p.path != "" {
		field += ": " + p.path
	}
	return mediastore.Invalid(field, format, args...)
}

func short(s string) string {
	if len(s) > maxQuoted {
		return strings.ToValidUTF8(s[:maxQuoted], "") + "..."
	}
	return s
}

// object is a JSON object in the order it was written.
type object []member

// member is one name and its value: string, json.Number, bool, nil, []any or
// object.
type member struct {
	name  string
	value any
}

func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// only refuses members with any other name.
func (o object) only(at place, names ...string) error {
	for _, m := range o {
		if !slices.Contains(names, m.name) {
			return at.member(m.name).errorf("is not an element of the policy language: here it knows %s", strings.Join(names, ", "))
		}
	}
	return nil
}

// element is an element of a statement that can be negated.
type element struct {
	at      place
	value   any
	negated bool
}

// either returns the element called name or the one called Not<name>. Exactly
// one of them has to be there.
func (o object) either(at place, name string) (element, error) {
	value, has := o.get(name)
	notValue, hasNot := o.get("Not" + name)
	switch {
	case has && hasNot:
		return element{}, at.errorf("must not have both %s and Not%s", name, name)
	case has:
		return element{at.member(name), value, false}, nil
	case hasNot:
		return element{at.member("Not" + name), notValue, true}, nil
	default:
		return element{}, at.errorf("must have %s or Not%s", name, name)
	}
}

// each calls f with the value, or with every item when it is a list. A list has
// at least one item.
func each(at place, value any, f func(place, any) error) error {
	list, ok := value.([]any)
	if !ok {
		return f(at, value)
	}
	if len(list) == 0 {
		return at.errorf("must not be an empty list")
	}
	for i, item := range list {
		if err := f(at.index(i), item); err != nil {
			return err
		}
	}
	return nil
}

// eachString is each for a string or a list of strings.
func eachString(at place, value any, f func(place, string) error) error {
	return each(at, value, func(at place, item any) error {
		s, ok := item.(string)
		if !ok {
			return at.errorf("must be a string")
		}
		return f(at, s)
	})
}

// decode reads a document that is one JSON object. In no object may a name
// occur twice, not even in different case: most names in a policy are compared
// without regard to it, and of the others only one spelling is known.
func decode(at place, data []byte) (object, error) {
	if err := checkSyntax(at, data); err != nil {
		return nil, err
	}
	d := decoder{json.NewDecoder(bytes.NewReader(data))}
	d.UseNumber()
	value, err := d.value(at, 0)
	if err != nil {
		return nil, err
	}
	o, ok := value.(object)
	if !ok {
		return nil, at.errorf("must be a JSON object")
	}
	return o, nil
}

func checkSyntax(at place, data []byte) error {
	var raw json.RawMessage
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(data, &raw), &syntax) {
		return at.errorf("is not JSON: %v at byte %d", syntax, syntax.Offset)
	}
	return nil
}

type decoder struct{ *json.Decoder }

func (d decoder) token(at place) (json.Token, error) {
	token, err := d.Token()
	if err != nil {
		return nil, at.errorf("is not JSON: %v", err)
	}
	return token, nil
}

func (d decoder) value(at place, depth int) (any, error) {
	token, err := d.token(at)
	if err != nil {
		return nil, err
	}
	delim, composite := token.(json.Delim)
	switch {
	case !composite:
		return token, nil
	case depth == maxDepth:
		return nil, at.errorf("is nested too deeply: at most %d levels are allowed", maxDepth)
	case delim == '{':
		return d.object(at, depth+1)
	default:
		return d.list(at, depth+1)
	}
}

func (d decoder) object(at place, depth int) (any, error) {
	o := object{}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.token(at)
		if err != nil {
			return nil, err
		}
		name := token.(string) // the syntax was checked: names are strings
		folded := strings.ToLower(name)
		if seen[folded] {
			return nil, at.member(name).errorf("occurs twice in the same object")
		}
		seen[folded] = true
		value, err := d.value(at.member(name), depth)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, value})
	}
	_, err := d.token(at) // the closing brace
	return o, err
}

func (d decoder) list(at place, depth int) (any, error) {
	list := []any{}
	for d.More() {
		value, err := d.value(at.index(len(list)), depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.token(at) // the closing bracket
	return list, err
}
