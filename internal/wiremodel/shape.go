package wiremodel

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
)

// shape is a type of the model with its constraints.
type shape struct {
	kind     kind
	min, max int64 // of a number its value, of a string its characters, of a list its members
	pattern  *regexp.Regexp
	rule     string // the pattern as the model writes it
	enum     []string
	members  []member // of a structure, sorted by name
	element  *shape   // of a list
}

// kind is a shape's type, in the model's own word.
type kind string

const (
	kindStructure kind = "structure"
	kindList      kind = "list"
	kindString    kind = "string"
	kindInteger   kind = "integer"
	kindLong      kind = "long"
	kindBoolean   kind = "boolean"
	kindTimestamp kind = "timestamp"
	kindBlob      kind = "blob"
)

// member is one member of a structure.
type member struct {
	name     string
	location location
	header   string // its name, when it is located in one
	required bool
	shape    *shape
}

// location is where a member travels.
type location string

const (
	inBody       location = "" // as a member of the JSON object
	inHeader     location = "header"
	inStatus     location = "statusCode"
	wholePayload location = "payload" // it is the body, in bytes; the model says so on the structure
)

// member returns the member called name, nil when it is not declared.
func (s *shape) member(name string) *member {
	i, found := slices.BinarySearchFunc(s.members, name, func(m member, name string) int { return cmp.Compare(m.name, name) })
	if !found {
		return nil
	}
	return &s.members[i]
}

// has reports whether a member travels at l.
func (s *shape) has(l location) bool {
	return slices.ContainsFunc(s.members, func(m member) bool { return m.location == l })
}

// definition is a shape as the model writes it.
type definition struct {
	Type     kind
	Min, Max *int64
	Pattern  string
	Enum     []string
	Required []string
	Members  map[string]ref
	Member   ref
	Payload  string
	Error    struct{ HTTPStatusCode int }
	Fault    bool
}

type ref struct {
	Shape        string
	Location     location
	LocationName string
}

// compiler turns definitions into shapes, each once.
type compiler struct {
	definitions map[string]definition
	shapes      map[string]*shape
}

func errUnknownShape(name string) error { return fmt.Errorf("there is no shape %q", name) }

func (c *compiler) shape(name string) (*shape, error) {
	if s := c.shapes[name]; s != nil {
		return s, nil
	}
	d, ok := c.definitions[name]
	if !ok {
		return nil, errUnknownShape(name)
	}
	s := &shape{kind: d.Type, rule: d.Pattern, enum: d.Enum}
	c.shapes[name] = s // before its members: a shape may contain itself
	s.limits(d)
	if wider, ok := relaxations[name]; ok {
		s.rule = wider
	}
	err := cmp.Or(s.compilePattern(), c.fill(s, d), s.extend(extensions[name]))
	if err != nil {
		return nil, fmt.Errorf("shape %s: %w", name, err)
	}
	return s, nil
}

// limits sets the bounds. What the model leaves open is bounded by the type: an
// integer has 32 bits.
func (s *shape) limits(d definition) {
	s.min, s.max = math.MinInt64, math.MaxInt64
	if s.kind == kindInteger {
		s.min, s.max = math.MinInt32, math.MaxInt32
	}
	if d.Min != nil {
		s.min = *d.Min
	}
	if d.Max != nil {
		s.max = *d.Max
	}
}

func (s *shape) compilePattern() (err error) {
	if s.rule != "" {
		s.pattern, err = compilePattern(s.rule)
	}
	return err
}

// fill adds what a shape is made of.
func (c *compiler) fill(s *shape, d definition) (err error) {
	switch d.Type {
	case kindStructure:
		return c.fillMembers(s, d)
	case kindList:
		s.element, err = c.shape(d.Member.Shape)
		return err
	case kindString, kindInteger, kindLong, kindBoolean, kindTimestamp, kindBlob:
		return nil
	}
	return fmt.Errorf("unknown type %q", d.Type)
}

func (c *compiler) fillMembers(s *shape, d definition) error {
	for _, name := range slices.Sorted(maps.Keys(d.Members)) {
		r := d.Members[name]
		of, err := c.shape(r.Shape)
		if err != nil {
			return err
		}
		m := member{name: name, location: r.Location, header: r.LocationName, required: slices.Contains(d.Required, name), shape: of}
		if name == d.Payload {
			m.location = wholePayload
		}
		s.members = append(s.members, m)
	}
	return nil
}

// extend adds members that are strings, by name, each of a pattern.
func (s *shape) extend(more map[string]string) error {
	for name, pattern := range more {
		of := &shape{kind: kindString, rule: pattern}
		of.limits(definition{})
		if err := of.compilePattern(); err != nil {
			return err
		}
		s.members = append(s.members, member{name: name, shape: of})
	}
	slices.SortFunc(s.members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// escape is a backslash with what it escapes, so that the second half of an
// escaped backslash is never taken for the first half of another escape.
var escape = regexp.MustCompile(`\\(?:u[0-9A-Fa-f]{4}|.)`)

// compilePattern turns a pattern of the model, which is Java's and has to match
// the whole value, into Go's. They differ in how a code point is escaped; \w
// and \d mean ASCII in both.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	translated := escape.ReplaceAllStringFunc(pattern, func(e string) string {
		if e[1] == 'u' {
			return `\x{` + e[2:] + `}`
		}
		return e
	})
	return regexp.Compile(`\A(?:` + translated + `)\z`)
}
