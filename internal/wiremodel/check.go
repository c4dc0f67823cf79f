package wiremodel

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// checker holds a value against a shape and collects what it finds.
type checker struct {
	// response makes it strict: what a client may send and be forgiven (null for
	// an absent member, members that the model does not declare) the server
	// itself must not.
	response bool

	wrong      *TypeError  // the first
	violations []violation // the first maxReported
	count      int         // of all violations
}

// ValidateInput holds a request against the operation's input. Values are as
// encoding/json gives them with UseNumber; those that travel outside the body
// are named like the others, and the payload is left out.
//
// A value of the wrong type makes a *TypeError. Otherwise all violated
// constraints make one KindInvalid error whose message has AWS's own form. Null
// stands for an absent member and undeclared members are ignored, as AWS does.
func (o *Operation) ValidateInput(in map[string]any) error {
	var c checker
	c.structure(nil, o.input, in)
	return c.err()
}

// err returns the verdict. Types come first: a value of the wrong type has no
// length that could be too long.
func (c *checker) err() error {
	switch {
	case c.wrong != nil:
		return c.wrong
	case c.count > 0:
		return c.invalid()
	}
	return nil
}

// value checks one value that is present. How deep it goes is up to the shapes:
// what they do not declare is not looked at.
func (c *checker) value(at *place, s *shape, v any) {
	switch s.kind {
	case kindStructure:
		if fields, ok := as[map[string]any](c, at, "an object", v); ok {
			c.structure(at, s, fields)
		}
	case kindList:
		if list, ok := as[[]any](c, at, "a list", v); ok {
			c.list(at, s, list)
		}
	case kindString:
		if text, ok := as[string](c, at, "a string", v); ok {
			c.text(at, s, text)
		}
	case kindInteger, kindLong:
		c.integer(at, s, v)
	case kindBoolean:
		as[bool](c, at, "a boolean", v)
	case kindTimestamp:
		c.timestamp(at, v)
	case kindBlob:
		as[string](c, at, "a string in base64", v)
	}
}

// as asserts the JSON type of a value.
func as[T any](c *checker, at *place, want string, v any) (T, bool) {
	t, ok := v.(T)
	if !ok {
		c.mistype(at, want, v)
	}
	return t, ok
}

func (c *checker) structure(at *place, s *shape, fields map[string]any) {
	for i := range s.members {
		m := &s.members[i]
		if m.location == wholePayload {
			continue
		}
		v, present := fields[m.name]
		if v == nil && !(present && c.response) {
			if m.required {
				c.violate(&place{at, m.name, 0}, nil, ruleNotNull)
			}
			continue
		}
		c.value(&place{at, m.name, 0}, m.shape, v)
	}
	if c.response {
		c.undeclared(at, s, fields)
	}
}

func (c *checker) undeclared(at *place, s *shape, fields map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if s.member(name) == nil {
			c.violate(&place{at, name, 0}, fields[name], "Member must be declared")
		}
	}
}

func (c *checker) list(at *place, s *shape, list []any) {
	c.length(at, s, int64(len(list)), list)
	for i, v := range list {
		member := &place{at, "", i + 1}
		if v == nil {
			c.violate(member, nil, ruleNotNull)
			continue
		}
		c.value(member, s.element, v)
	}
}

// text checks a string. One that is too long is not held against its pattern,
// which bounds the work that a request can cause.
func (c *checker) text(at *place, s *shape, text string) {
	characters := int64(utf8.RuneCountInString(text))
	c.length(at, s, characters, text)
	if s.pattern != nil && characters <= s.max && !s.pattern.MatchString(text) {
		c.violate(at, text, "Member must satisfy regular expression pattern: "+s.rule)
	}
	if s.enum != nil && !slices.Contains(s.enum, text) {
		c.violate(at, text, ruleEnum(s.enum))
	}
}

func (c *checker) length(at *place, s *shape, n int64, v any) {
	if n > s.max {
		c.violate(at, v, fmt.Sprintf("Member must have length less than or equal to %d", s.max))
	}
	if n < s.min {
		c.violate(at, v, fmt.Sprintf("Member must have length greater than or equal to %d", s.min))
	}
}

// integer checks a whole number. It has no fraction and no exponent, not even
// ones that change nothing.
func (c *checker) integer(at *place, s *shape, v any) {
	number, _ := v.(json.Number)
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		c.mistype(at, "an integer", v)
		return
	}
	if n > s.max {
		c.violate(at, v, fmt.Sprintf("Member must have value less than or equal to %d", s.max))
	}
	if n < s.min {
		c.violate(at, v, fmt.Sprintf("Member must have value greater than or equal to %d", s.min))
	}
}

// timestamp checks seconds since 1970, with or without a fraction.
func (c *checker) timestamp(at *place, v any) {
	number, _ := v.(json.Number)
	if _, err := number.Float64(); err != nil {
		c.mistype(at, "a number of seconds", v)
	}
}
