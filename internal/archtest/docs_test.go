package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"headwater/internal/wiremodel"
)

var quoted = regexp.MustCompile("`([^`]+)`")

// TestCompatibilityTable holds docs/compatibility.md against the models and the
// code: every operation has its row, and every test that is named exists.
func TestCompatibilityTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, model := range []*wiremodel.Model{wiremodel.ControlPlane(), wiremodel.DataPlane()} {
		for _, op := range model.Operations() {
			if !strings.Contains(string(page), "\n| "+op.Name+" | ") {
				t.Errorf("%s has no row", op.Name)
			}
		}
	}
	tests := testNames(t)
	named := 0
	for _, m := range quoted.FindAllStringSubmatch(string(page), -1) {
		switch name := m[1]; {
		case strings.HasPrefix(name, "Test"):
			named++
			if !tests[name] {
				t.Errorf("%s is named and is not a test", name)
			}
		case strings.HasSuffix(name, ".py") && name != "….py":
			if _, err := os.Stat(filepath.Join("../../e2e/python", name)); err != nil {
				t.Errorf("%s is named: %v", name, err)
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, s := range sources(t) {
		if !isTest(s.path) {
			continue
		}
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// TestLinks: every relative link in a document leads somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	var pages []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/*/*.md"} {
		found, _ := filepath.Glob(pattern)
		pages = append(pages, found...)
	}
	if len(pages) < 10 {
		t.Fatalf("only %d documents found", len(pages))
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: the link to %s is broken", page, m[1])
			}
		}
	}
}
