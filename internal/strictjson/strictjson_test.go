package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"headwater/internal/mediastore"
	"headwater/internal/strictjson"
)

// read exercises every accessor on a document of the form
// {"list":[string…],"n":int,"kind":"A"|"B"}.
func read(root, text string, limit int) error {
	doc := strictjson.Parse(root, []byte(text), limit)
	doc.Fields("list", "n", "kind")
	for _, element := range doc.Required("list").List(1, 2) {
		element.String(1, 3)
	}
	if n := doc.Optional("n"); n.Present() {
		n.Int(-5, 5)
	}
	if kind := doc.Optional("kind"); kind.Present() {
		kind.OneOf("A", "B")
	}
	return doc.Err()
}

func TestAccepts(t *testing.T) {
	for _, text := range []string{
		`{"list":["a"]}`,
		` {"list":["abc","äöü"],"n":-5,"kind":"A"} `,
		`{"list":["a"],"n":5,"kind":"B"}`,
		`{"list":["a"],"n":null,"kind":null}`,
	} {
		if err := read("Doc", text, 100); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	tests := []struct{ text, field, message string }{
		{``, "Doc", "must not be empty"},
		{"\"\xff\"", "Doc", "is not UTF-8"},
		{` `, "Doc", "is not JSON: unexpected end of JSON input, at byte 1"},
		{`{"list":["a"]`, "Doc", "is not JSON: unexpected end of JSON input, at byte 13"},
		{`{"list":["a",]}`, "Doc", "is not JSON: invalid character ']' looking for beginning of value, at byte 14"},
		{`{"list":["a"]} 1`, "Doc", "is not JSON: invalid character '1' after top-level value, at byte 16"},
		{`null`, "Doc", "must be an object"},
		{`[]`, "Doc", "must be an object"},
		{`{}`, "Doc.list", "is required"},
		{`{"list":null}`, "Doc.list", "is required"},
		{`{"List":["a"]}`, "Doc", `has the unknown field "List"`},
		{`{"b":1,"a":1}`, "Doc", `has the unknown field "a"`},
		{`{"list":["a"],"list":["a"]}`, "Doc", `has the field "list" twice`},
		{`{"list":["a"],"l\u0069st":null}`, "Doc", `has the field "list" twice`},
		{`{"list":[{"x":[{"y":1,"y":1}]}]}`, "Doc.list[0].x[0]", `has the field "y" twice`},
		{`{"list":{}}`, "Doc.list", "must be a list"},
		{`{"list":[]}`, "Doc.list", "must have 1 to 2 elements, not 0"},
		{`{"list":["a","b","c"]}`, "Doc.list", "must have 1 to 2 elements, not 3"},
		{`{"list":["a",""]}`, "Doc.list[1]", "must have 1 to 3 characters, not 0"},
		{`{"list":["abcd"]}`, "Doc.list[0]", "must have 1 to 3 characters, not 4"},
		{`{"list":[null]}`, "Doc.list[0]", "must be a string"},
		{`{"list":[7]}`, "Doc.list[0]", "must be a string"},
		{`{"list":["a"],"n":6}`, "Doc.n", "must be an integer from -5 to 5"},
		{`{"list":["a"],"n":-6}`, "Doc.n", "must be an integer from -5 to 5"},
		{`{"list":["a"],"n":1.0}`, "Doc.n", "must be an integer from -5 to 5"},
		{`{"list":["a"],"n":"1"}`, "Doc.n", "must be an integer from -5 to 5"},
		{`{"list":["a"],"n":99999999999999999999}`, "Doc.n", "must be an integer from -5 to 5"},
		{`{"list":["a"],"kind":"a"}`, "Doc.kind", "must be A or B"},
		{`{"list":["a"],"kind":1}`, "Doc.kind", "must be A or B"},
		{`{"list":[],"n":6}`, "Doc.list", "must have 1 to 2 elements, not 0"},
	}
	for _, test := range tests {
		wantInvalid(t, test.text, read("Doc", test.text, 100), test.field, test.message)
	}
}

func TestRootOfEmbeddedDocument(t *testing.T) {
	for text, field := range map[string]string{
		`[]`:           "Doc",
		`{"list":[1]}`: "Doc: list[0]",
	} {
		var e *mediastore.Error
		if err := read("Doc: ", text, 100); !errors.As(err, &e) || e.Field != field {
			t.Errorf("%s: %v, want a failure at %q", text, err, field)
		}
	}
}

func TestLimitCountsCharacters(t *testing.T) {
	const text = `{"list":["äöü"]}` // 16 characters, 19 bytes
	if err := read("Doc", text, 16); err != nil {
		t.Error(err)
	}
	wantInvalid(t, text, read("Doc", text, 15), "Doc", "has 16 characters: at most 15 are allowed")
}

func TestDepth(t *testing.T) {
	nest := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	if err := strictjson.Parse("Doc", []byte(nest(16)), 1000).Err(); err != nil {
		t.Error(err)
	}
	err := strictjson.Parse("Doc", []byte(nest(17)), 1000).Err()
	wantInvalid(t, "17 levels", err, "Doc"+strings.Repeat("[0]", 16), "is nested deeper than 16 levels")
	if strictjson.Parse("Doc", []byte(nest(100_000)), 1_000_000).Err() == nil {
		t.Error("100,000 levels were accepted")
	}
}

func TestExactCounts(t *testing.T) {
	doc := strictjson.Parse("Doc", []byte(`[]`), 10)
	doc.List(1, 1)
	wantInvalid(t, "[]", doc.Err(), "Doc", "must have 1 element, not 0")
	doc = strictjson.Parse("Doc", []byte(`[]`), 10)
	doc.List(2, 2)
	wantInvalid(t, "[]", doc.Err(), "Doc", "must have 2 elements, not 0")
}

func TestLongNamesAreCut(t *testing.T) {
	err := read("Doc", `{"`+strings.Repeat("x", 90)+`":1}`, 100)
	wantInvalid(t, "a long name", err, "Doc", `has the unknown field "`+strings.Repeat("x", 60)+`"`)
}

func wantInvalid(t *testing.T, text string, err error, field, message string) {
	t.Helper()
	var e *mediastore.Error
	if !errors.As(err, &e) || e.Kind != mediastore.KindInvalid {
		t.Errorf("%s: %v, want an invalid document", text, err)
		return
	}
	if e.Field != field || e.Message != message {
		t.Errorf("%s:\n got %q: %q\nwant %q: %q", text, e.Field, e.Message, field, message)
	}
}

// FuzzParse holds the reader against encoding/json: what it accepts is JSON,
// and valid JSON is refused only for depth or for a field given twice.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"list":["a"],"n":-5,"kind":"A"}`, `[[[[]]]]`, `{"a":1,"a":2}`, `"\ud800"`, `-0`, `[1,]`, `{`, "\xef\xbb\xbf{}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read("Doc: ", text, 1000)
		err := strictjson.Parse("Doc", []byte(text), 1000).Err()
		if err == nil && !json.Valid([]byte(text)) {
			t.Errorf("%q was accepted", text)
		}
		known := err == nil || strings.Contains(err.Error(), "twice") || strings.Contains(err.Error(), "deeper") ||
			strings.Contains(err.Error(), "UTF-8") || strings.Contains(err.Error(), "characters")
		if !known && json.Valid([]byte(text)) {
			t.Errorf("%q was refused: %v", text, err)
		}
	})
}
