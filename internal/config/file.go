package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds the file, in bytes: it is many times what all settings take,
// and little enough for the YAML parser, which recurses.
const maxFile = 16 << 10

// readFile returns the settings in the named file; none when there is no name.
func readFile(name string) (map[string]given, []Problem) {
	if name == "" {
		return nil, nil
	}
	text, err := readBounded(name)
	if err != nil {
		return nil, []Problem{{Setting: "config", Origin: name, Message: err.Error()}}
	}
	return parseFile(name, text)
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot be opened: %w", cause(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("has more than %d bytes", maxFile)
	}
	return text, nil
}

// cause leaves out the operation and the name, which the message has already.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// parseFile reads a file that is one flat YAML mapping. It looks at the syntax
// tree and not at decoded values: this keeps the text of a value as it was
// written (an account number is no octal number) and the line it is on.
func parseFile(name string, text []byte) (map[string]given, []Problem) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, []Problem{syntaxProblem(name, err)}
	}
	r := fileReader{name: name, settings: Settings(), values: make(map[string]given)}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			r.complain("config", doc.Body, "must be one YAML document")
			continue
		}
		r.document(doc.Body)
	}
	return r.values, r.problems
}

// syntaxProblem puts the parser's complaint on one line.
func syntaxProblem(name string, err error) Problem {
	p := Problem{Setting: "config", Origin: name, Message: "is not YAML"}
	var yamlErr yaml.Error
	if errors.As(err, &yamlErr) {
		if token := yamlErr.GetToken(); token != nil {
			p.Origin = fmt.Sprintf("%s:%d", name, token.Position.Line)
		}
		p.Message += ": " + yamlErr.GetMessage()
	}
	return p
}

// fileReader gathers the values in a file and what is wrong with them.
type fileReader struct {
	name     string
	settings []Setting
	values   map[string]given
	problems []Problem
}

func (r *fileReader) complain(setting string, at ast.Node, message string) {
	r.problems = append(r.problems, Problem{Setting: setting, Origin: r.origin(at), Message: message})
}

func (r *fileReader) origin(at ast.Node) string {
	return fmt.Sprintf("%s:%d", r.name, at.GetToken().Position.Line)
}

// document reads the file's mapping. A file without one, empty or all comments,
// sets nothing.
func (r *fileReader) document(body ast.Node) {
	switch body := body.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case ast.MapNode:
		for entries := body.MapRange(); entries.Next(); {
			r.entry(entries.Key(), entries.Value())
		}
	default:
		r.complain("config", body, "must be a mapping of settings to values, such as listen: 127.0.0.1:8484")
	}
}

func (r *fileReader) entry(key ast.MapKeyNode, value ast.Node) {
	name := key.GetToken().Value
	i := slices.IndexFunc(r.settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		r.complain(name, key, "is not a setting; headwater config print lists them all")
		return
	}
	s := &r.settings[i]
	if !s.IsKey() {
		r.complain(name, key, "may not be set in the file; set "+s.Env()+" in the environment")
		return
	}
	text, ok := s.text(value)
	if !ok {
		r.complain(name, key, "must be a single value"+s.orAList())
		return
	}
	r.values[name] = given{text, r.origin(key)}
}

func (s *Setting) orAList() string {
	if s.list {
		return " or a list of them"
	}
	return ""
}

// text returns the text of a YAML value, as a flag would have it.
func (s *Setting) text(value ast.Node) (text string, ok bool) {
	list, isList := value.(*ast.SequenceNode)
	if !isList {
		return scalar(value)
	}
	items := make([]string, len(list.Values))
	for i, item := range list.Values {
		if items[i], ok = scalar(item); !ok {
			return "", false
		}
	}
	return strings.Join(items, ","), s.list
}

func scalar(value ast.Node) (text string, ok bool) {
	switch value := value.(type) {
	case *ast.NullNode:
		return "", true
	case *ast.LiteralNode:
		return value.Value.Value, true
	case *ast.StringNode:
		return value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return value.GetToken().Value, true
	default:
		return "", false
	}
}
