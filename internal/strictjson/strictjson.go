// Package strictjson reads JSON documents that people write and a program
// carries out: it refuses what encoding/json lets pass (fields that nobody
// knows, fields given twice, names in the wrong case, unbounded nesting) and
// says at which place of the document a rule was broken.
//
// It must not know any particular document.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"headwater/internal/mediastore"
)

// maxDepth bounds the nesting of lists and objects. The deepest document that
// means anything has seven levels.
const maxDepth = 16

// Value is one value of a document, or the lack of one, with the place where it
// stands. Its methods check what the value must be and return it, or the zero
// value when it is something else. The document remembers only the first
// failure; the caller reads on regardless and asks Err at the end.
//
// A member that is null is the same as one that is missing.
type Value struct {
	failure *error // the document's, shared by all its values
	place   string
	data    any // nil, bool, string, json.Number, []Value or map[string]Value
}

// Parse reads a document of at most limit characters. The root is the place of
// the document itself. It ends in ": " when the document is the text of a
// string member, so that places read "Policy: Statement[0]", and does not when
// the document is a member of the request: "CorsPolicy[0].AllowedOrigins".
func Parse(root string, data []byte, limit int) Value {
	v := Value{failure: new(error), place: root}
	var raw json.RawMessage
	switch characters := utf8.RuneCount(data); {
	case characters == 0:
		v.Fail("must not be empty")
	case characters > limit:
		v.Fail("has %d characters: at most %d are allowed", characters, limit)
	case !utf8.Valid(data):
		v.Fail("is not UTF-8")
	default:
		if err := json.Unmarshal(data, &raw); err != nil {
			v.Fail("is not JSON: %s", reason(err))
		} else {
			v.read(newDecoder(data), 0)
		}
	}
	return v
}

func newDecoder(data []byte) *json.Decoder {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder
}

func reason(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%v, at byte %d", err, syntax.Offset)
	}
	return err.Error()
}

// read takes the next value from the decoder. Its input is known to be JSON, so
// that a token can only be missing after a failure, when nobody looks any more.
func (v *Value) read(decoder *json.Decoder, depth int) {
	token, err := decoder.Token()
	if err != nil {
		v.Fail("is not JSON: %v", err)
		return
	}
	delim, composite := token.(json.Delim)
	switch {
	case !composite:
		v.data = token
	case depth == maxDepth:
		v.Fail("is nested deeper than %d levels", maxDepth)
	case delim == '[':
		v.readList(decoder, depth+1)
	default:
		v.readObject(decoder, depth+1)
	}
}

func (v *Value) readList(decoder *json.Decoder, depth int) {
	list := []Value{}
	for v.Err() == nil && decoder.More() {
		element := Value{failure: v.failure, place: v.place + "[" + strconv.Itoa(len(list)) + "]"}
		element.read(decoder, depth)
		list = append(list, element)
	}
	_, _ = decoder.Token() // the closing bracket
	v.data = list
}

func (v *Value) readObject(decoder *json.Decoder, depth int) {
	object := map[string]Value{}
	for v.Err() == nil && decoder.More() {
		token, _ := decoder.Token()
		name, _ := token.(string)
		if _, twice := object[name]; twice {
			v.Fail("has the field %s twice", quote(name))
		}
		member := v.absent(name)
		member.read(decoder, depth)
		object[name] = member
	}
	_, _ = decoder.Token() // the closing brace
	v.data = object
}

// absent returns a member that is not there.
func (v Value) absent(name string) Value {
	separator := "."
	if strings.HasSuffix(v.place, ": ") {
		separator = ""
	}
	return Value{failure: v.failure, place: v.place + separator + name}
}

// quote makes a name from the document fit to be shown.
func quote(name string) string { return fmt.Sprintf("%.60q", name) }

// Fail records that the value breaks a rule, unless something failed before.
func (v Value) Fail(format string, args ...any) {
	if *v.failure == nil {
		*v.failure = mediastore.Invalid(strings.TrimSuffix(v.place, ": "), format, args...)
	}
}

// Err returns the document's first failure: a *mediastore.Error of KindInvalid
// whose Field is the place.
func (v Value) Err() error { return *v.failure }

// Present reports whether there is a value, of whatever type.
func (v Value) Present() bool { return v.data != nil }

// Fields demands an object that has no fields but those named. Names are
// compared exactly.
func (v Value) Fields(names ...string) {
	object, ok := v.data.(map[string]Value)
	if !ok {
		v.Fail("must be an object")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(names, name) {
			v.Fail("has the unknown field %s", quote(name))
			return
		}
	}
}

// Optional returns a member of an object, which may be missing.
func (v Value) Optional(name string) Value {
	object, _ := v.data.(map[string]Value)
	if member, ok := object[name]; ok {
		return member
	}
	return v.absent(name)
}

// Required returns a member of an object and demands that it is there.
func (v Value) Required(name string) Value {
	member := v.Optional(name)
	if !member.Present() {
		member.Fail("is required")
	}
	return member
}

// List demands a list of least to most elements, and returns them.
func (v Value) List(least, most int) []Value {
	list, ok := v.data.([]Value)
	switch {
	case !ok:
		v.Fail("must be a list")
	case len(list) < least || len(list) > most:
		v.Fail("must have %s, not %d", count(least, most, "element"), len(list))
	default:
		return list
	}
	return nil
}

// String demands a string of least to most characters.
func (v Value) String(least, most int) string {
	s, ok := v.data.(string)
	if !ok {
		v.Fail("must be a string")
		return ""
	}
	if n := utf8.RuneCountInString(s); n < least || n > most {
		v.Fail("must have %s, not %d", count(least, most, "character"), n)
		return ""
	}
	return s
}

// OneOf demands a string that is one of those given.
func (v Value) OneOf(choices ...string) string {
	s, ok := v.data.(string)
	if !ok || !slices.Contains(choices, s) {
		v.Fail("must be %s", strings.Join(choices, " or "))
		return ""
	}
	return s
}

// Int demands an integer from least to most, written without fraction or
// exponent.
func (v Value) Int(least, most int64) int64 {
	number, _ := v.data.(json.Number)
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || n < least || n > most {
		v.Fail("must be an integer from %d to %d", least, most)
		return 0
	}
	return n
}

func count(least, most int, noun string) string {
	switch {
	case least == most && most == 1:
		return "1 " + noun
	case least == most:
		return fmt.Sprintf("%d %ss", most, noun)
	default:
		return fmt.Sprintf("%d to %d %ss", least, most, noun)
	}
}
