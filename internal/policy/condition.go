package policy

import (
	"encoding/json"
	"strconv"
)

// quantifier says how an operator treats a key with several values.
type quantifier uint8

const (
	unquantified quantifier = iota // the key is expected to have one
	forAllValues                   // the condition holds for each value
	forAnyValue                    // the condition holds for at least one
)

// condition is an operator applied to one key and the policy's values for it.
type condition struct {
	operatorUse
	key   key
	tests []test // one for each of the policy's values
}

// holds reports whether the request meets the condition.
func (c *condition) holds(r *Request) bool {
	values := c.key.values(r)
	if c.null {
		return c.matches(r, boolValue(values.len() == 0))
	}
	if values.len() == 0 {
		return c.holdsWhenMissing()
	}
	switch c.quantifier {
	case forAllValues:
		return !c.some(r, values, c.negated)
	case forAnyValue:
		return c.some(r, values, !c.negated)
	default:
		return c.some(r, values, true) != c.negated
	}
}

// holdsWhenMissing is what becomes of a condition on a key that the request does
// not have. A negated operator holds: what is not there is not the value.
func (c *condition) holdsWhenMissing() bool {
	switch {
	case c.ifExists || c.quantifier == forAllValues:
		return true
	case c.quantifier == forAnyValue:
		return false
	default:
		return c.negated
	}
}

// some reports whether there is a value in the request that matches, or fails to
// match, the policy's values.
func (c *condition) some(r *Request, values values, matching bool) bool {
	for i := range values.len() {
		if c.matches(r, values.at(i)) == matching {
			return true
		}
	}
	return false
}

// matches reports whether one of the policy's values is met.
func (c *condition) matches(r *Request, v value) bool {
	for _, test := range c.tests {
		if test(r, v) {
			return true
		}
	}
	return false
}

// condition compiles the policy's values for one key.
func (op operatorUse) condition(at place, m member, variables bool) (condition, error) {
	if !isKey(m.name) {
		return condition{}, at.errorf("is not a condition key: it must have a prefix, a colon and a name, like aws:SourceIp")
	}
	c := condition{operatorUse: op, key: findKey(m.name)}
	err := each(at, m.value, func(at place, item any) error {
		text, ok := scalar(item)
		if !ok {
			return at.errorf("must be a string, a number or a boolean")
		}
		test, err := op.compile(text, variables)
		if err != nil {
			return at.errorf("%q %v", short(text), err)
		}
		c.tests = append(c.tests, test)
		return nil
	})
	return c, err
}

// scalar returns a condition value as text: JSON's numbers and booleans are
// values too.
func scalar(item any) (string, bool) {
	switch v := item.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}
