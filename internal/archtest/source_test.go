package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is a parsed Go file of ours.
type source struct {
	path string // below the module's root
	file *ast.File
	fset *token.FileSet
}

// sources returns every Go file that is written by hand.
func sources(t *testing.T) []source {
	t.Helper()
	const root = "../.."
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "tmp" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && path != root) {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err == nil && !ast.IsGenerated(file) {
			all = append(all, source{strings.TrimPrefix(filepath.ToSlash(path), root+"/"), file, fset})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 30 {
		t.Fatalf("only %d Go files found", len(all))
	}
	return all
}

func isTest(path string) bool { return strings.HasSuffix(path, "_test.go") }

func TestEveryPackageHasAComment(t *testing.T) {
	commented := map[string]bool{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.path)
		commented[dir] = commented[dir] || s.file.Doc != nil
	}
	for dir, ok := range commented {
		if !ok {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

// TestFunctionsAreShort holds the lengths of functions, in lines, against the
// codebases that this one learns from: nine in ten have at most 45.
func TestFunctionsAreShort(t *testing.T) {
	var lengths []int
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || isTest(s.path) {
				continue
			}
			n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			lengths = append(lengths, n)
			if n > 100 {
				t.Errorf("%s: %s has %d lines", s.path, f.Name.Name, n)
			}
		}
	}
	slices.Sort(lengths)
	p50, p90 := lengths[len(lengths)/2], lengths[len(lengths)*9/10]
	t.Logf("%d functions: median %d lines, p90 %d lines", len(lengths), p50, p90)
	if p50 > 11 || p90 > 45 {
		t.Errorf("the median function has %d lines (at most 11), the 90th percentile %d (at most 45)", p50, p90)
	}
}

// TestHouseRules bans what makes a program hard to test or to run.
func TestHouseRules(t *testing.T) {
	for _, s := range sources(t) {
		if isTest(s.path) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s has an init function: registries are built by hand and passed down", s.path)
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch name := called(call); {
			case name == "os.Exit" && s.path != "cmd/headwater/main.go" && s.path != "bench/table/main.go":
				t.Errorf("%s calls os.Exit: only main ends the process", s.fset.Position(n.Pos()))
			case strings.HasPrefix(name, "log.") && imports(s.file, "log"):
				t.Errorf("%s calls %s: the logger is a value given in", s.fset.Position(n.Pos()), name)
			case name == "time.Now" && !inAny(s.path, "internal/app/", "internal/cli/", "internal/awstest/", "bench/"):
				t.Errorf("%s calls time.Now: time is a value given in", s.fset.Position(n.Pos()))
			}
			return true
		})
	}
}

func inAny(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(path, folder) })
}

func imports(file *ast.File, path string) bool {
	return slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+path+`"` })
}

// called renders a call of a package's function as "package.Function".
func called(call *ast.CallExpr) string {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + sel.Sel.Name
}
