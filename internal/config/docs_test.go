package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write the generated parts of the documentation")

// TestDocumentation holds the table in the documentation against the code.
func TestDocumentation(t *testing.T) {
	const file, begin, end = "../../docs/configuration.md", "<!-- settings: begin -->\n", "<!-- settings: end -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, hasBegin := strings.Cut(string(text), begin)
	_, after, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		t.Fatalf("%s has no place for the table, between %q and %q", file, begin, end)
	}
	want := before + begin + documentation() + end + after
	if *rewrite {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("go test ./internal/config -rewrite mends this:\n%s", diff)
	}
}

// documentation renders the settings as a Markdown table.
func documentation() string {
	var b strings.Builder
	b.WriteString("| flag or key | variable | default | meaning |\n|---|---|---|---|\n")
	for _, s := range Settings() {
		name := "`" + s.Name + "`"
		switch {
		case !s.IsFlag():
			name = "neither"
		case !s.IsKey():
			name += " (flag only)"
		}
		value := ""
		if s.Default() != "" {
			value = "`" + s.Default() + "`"
		}
		help := strings.NewReplacer("<", "&lt;", ">", "&gt;", "|", `\|`).Replace(s.Help)
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", name, s.Env(), value, strings.ToUpper(help[:1])+help[1:])
	}
	return b.String()
}

func TestTable(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range Settings() {
		if seen[s.Name] {
			t.Errorf("%s is there twice", s.Name)
		}
		seen[s.Name] = true
		if s.Form == "" || s.Help == "" || strings.HasSuffix(s.Help, ".") || strings.Contains(s.Help, "`") {
			t.Errorf("%s: form %q, help %q", s.Name, s.Form, s.Help)
		}
		for _, choice := range s.Choices {
			if c := Default(); s.set(&c, choice) != nil {
				t.Errorf("%s does not take its choice %q", s.Name, choice)
			}
		}
	}
	for name := range samples() {
		if !seen[name] {
			t.Errorf("the test has samples of %s, which is no setting", name)
		}
	}
}
