package wiremodel

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOperations(t *testing.T) {
	count := func(m *Model) map[string]int {
		methods := map[string]int{}
		for _, o := range m.Operations() {
			methods[o.Method+" "+o.URI]++
			if m.Operation(o.Name) != o {
				t.Errorf("Operation(%q) is another one", o.Name)
			}
		}
		return methods
	}
	if diff := cmp.Diff(map[string]int{"POST /": 21}, count(ControlPlane())); diff != "" {
		t.Errorf("control plane (-want +got):\n%s", diff)
	}
	want := map[string]int{"PUT /{Path+}": 1, "GET /{Path+}": 1, "HEAD /{Path+}": 1, "DELETE /{Path+}": 1, "GET /": 1}
	if diff := cmp.Diff(want, count(DataPlane())); diff != "" {
		t.Errorf("data plane (-want +got):\n%s", diff)
	}
}

func TestUnknownOperation(t *testing.T) {
	for _, name := range []string{"", "PutObject", "createContainer"} {
		if o := ControlPlane().Operation(name); o != nil {
			t.Errorf("Operation(%q) = %v, want nil", name, o)
		}
	}
}

func TestDeclaredErrors(t *testing.T) {
	want := []DeclaredError{{"ContainerInUseException", 400}, {"LimitExceededException", 400}, {"InternalServerError", 500}}
	if diff := cmp.Diff(want, ControlPlane().Operation("CreateContainer").Errors); diff != "" {
		t.Errorf("CreateContainer (-want +got):\n%s", diff)
	}
	want = []DeclaredError{{"ContainerNotFoundException", 404}, {"ObjectNotFoundException", 404}, {"RequestedRangeNotSatisfiableException", 416}, {"InternalServerError", 500}}
	if diff := cmp.Diff(want, DataPlane().Operation("GetObject").Errors); diff != "" {
		t.Errorf("GetObject (-want +got):\n%s", diff)
	}
}

// A key of a shape that nobody reads could be a constraint that nobody checks.
func TestEveryKeyOfTheModelsIsKnown(t *testing.T) {
	known := []string{"enum", "error", "exception", "fault", "max", "member", "members", "min", "pattern", "payload", "required", "streaming", "type"}
	for _, source := range []string{controlPlane, dataPlane} {
		for name, shape := range rawShapes(t, source) {
			for key := range shape {
				if !slices.Contains(known, key) {
					t.Errorf("shape %s has the key %q", name, key)
				}
			}
		}
	}
}

func rawShapes(t *testing.T, source string) map[string]map[string]any {
	t.Helper()
	var doc struct{ Shapes map[string]map[string]any }
	if err := json.Unmarshal([]byte(source), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Shapes
}

func TestRelaxationsReplacePatterns(t *testing.T) {
	shapes := rawShapes(t, controlPlane)
	maps.Copy(shapes, rawShapes(t, dataPlane))
	for name := range relaxations {
		if shapes[name]["pattern"] == nil {
			t.Errorf("no shape %q has a pattern to relax", name)
		}
	}
	if diff := cmp.Diff([]string{"ContentRangePattern", "ContentType", "ErrorMessage", "ItemName"}, slices.Sorted(maps.Keys(relaxations))); diff != "" {
		t.Errorf("relaxations (-want +got):\n%s", diff)
	}
}

func TestParseRefusesBrokenModels(t *testing.T) {
	operation := func(shapes string) string {
		return `{"operations":{"X":{"input":{"shape":"In"},"output":{"shape":"In"},"errors":[{"shape":"Bad"}]}},"shapes":{"ErrorMessage":{"type":"string"},` + shapes + `}}`
	}
	tests := []struct{ name, source, want string }{
		{"not JSON", `{`, "unexpected end"},
		{"unknown input", `{"operations":{"X":{"input":{"shape":"In"}}}}`, `operation X: there is no shape "In"`},
		{"unknown error", operation(`"In":{"type":"structure"}`), `there is no shape "Bad"`},
		{"unknown member", operation(`"In":{"type":"structure","members":{"A":{"shape":"B"}}}`), `shape In: there is no shape "B"`},
		{"unknown element", operation(`"In":{"type":"list","member":{"shape":"B"}}`), `shape In: there is no shape "B"`},
		{"unknown type", operation(`"In":{"type":"tuple"}`), `shape In: unknown type "tuple"`},
		{"broken pattern", operation(`"In":{"type":"string","pattern":"("}`), "shape In: error parsing regexp"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.source)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("parse = %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestMustPanicsOnABrokenModel(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	must(`{`)
}

// A shape that contains itself ends where the value does.
func TestRecursiveShape(t *testing.T) {
	m, err := parse(`{"operations":{"X":{"input":{"shape":"Tree"},"output":{"shape":"Tree"}}},"shapes":{"ErrorMessage":{"type":"string"},
		"Tree":{"type":"structure","members":{"Leaf":{"shape":"Leaf"},"Tree":{"shape":"Tree"}}},"Leaf":{"type":"string","max":1}}}`)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Operation("X").ValidateInput(object(t, `{"Tree":{"Tree":{"Leaf":"ab"}}}`))
	if err == nil || !strings.Contains(err.Error(), "'tree.tree.leaf'") {
		t.Errorf("ValidateInput = %v, want an error at tree.tree.leaf", err)
	}
}

func TestCompilePattern(t *testing.T) {
	tests := []struct {
		pattern, value string
		want           bool
	}{
		{`[\w-]+`, "live_1-a", true},
		{`[\w-]+`, "live 1", false},
		{`[\w-]+`, "caf\u00e9", false}, // \w is ASCII
		{`[\w-]+`, "live\n", false},
		{`^a$`, "a\n", false},
		{`a|b`, "ab", false}, // the whole of it, and not of one alternative
		{`\d`, "\u0663", false},
		{`[\u0009\u000A\u000D\u0020-\u00FF]+`, "\t\n\r \u00ff", true},
		{`[\u0009\u000A\u000D\u0020-\u00FF]+`, "\u0100", false},
		{`[\u0009\u000A\u000D\u0020-\u00FF]+`, "\v", false},
		{`\\u0041`, `\u0041`, true},
		{`\\u0041`, "A", false},
		{`\\\u0041`, `\A`, true},
		{`[\p{L}\p{Z}\p{N}]*`, "\u00e9 \u4e16\u0663", true},
		{`[\x00-\x7F]+`, "\x00\x7f", true},
		{`[\x00-\x7F]+`, "\u0080", false},
	}
	for _, test := range tests {
		re, err := compilePattern(test.pattern)
		if err != nil {
			t.Errorf("%s: %v", test.pattern, err)
			continue
		}
		if got := re.MatchString(test.value); got != test.want {
			t.Errorf("%s matches %q: %v, want %v", test.pattern, test.value, got, test.want)
		}
	}
}
