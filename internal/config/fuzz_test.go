package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// equal lets cmp look at addresses and secrets.
func equal() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b Secret) bool { return a == b }),
	}
}

// FuzzSettings sets a setting to any text: what is taken prints as a text that
// is taken for the same value, and passes Validate.
func FuzzSettings(f *testing.F) {
	for i, s := range Settings() {
		f.Add(i, s.Default())
		f.Add(i, samples()[s.Name][0])
		f.Add(i, "x\n")
	}
	f.Fuzz(func(t *testing.T, i int, text string) {
		settings := Settings()
		s := settings[uint(i)%uint(len(settings))]
		c := Default()
		if err := s.set(&c, text); err != nil {
			return
		}
		again := Default()
		if err := s.set(&again, s.get(&c)); err != nil {
			t.Fatalf("%s: took %q, but not its own %q: %v", s.Name, text, s.get(&c), err)
		}
		if diff := cmp.Diff(c, again, equal()); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzFile reads any file: it never panics, every problem has a place, and every
// value belongs to a setting that the file may have.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"", "listen: :80\n", "trusted-proxies:\n  - 10.0.0.0/8\n", "a: &a [*a]\n", "? [a]\n: b\n", "<<: {a: b}\n",
		"listen: !!str 1\n", "data: |\n  x\n", "\xff\xfe", "---\n---\n", "listen: {", "- a\n", "a: b: c\n", "data: 'x", "\t",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > maxFile {
			return
		}
		values, problems := parseFile("f.yaml", text)
		for _, p := range problems {
			if p.Message == "" || !strings.HasPrefix(p.Origin, "f.yaml") {
				t.Errorf("problem %+v", p)
			}
		}
		for _, s := range Settings() {
			if _, ok := values[s.Name]; ok && !s.IsKey() {
				t.Errorf("%s was taken from the file", s.Name)
			}
			delete(values, s.Name)
		}
		if len(values) > 0 {
			t.Errorf("unknown settings were taken: %v", values)
		}
	})
}

// FuzzYAMLScalar prints any valid data directory and reads it back.
func FuzzYAMLScalar(f *testing.F) {
	for _, text := range []string{"null", "~", "true", "0123", "a: b", "a #b", " a", "a\nb", "- a", "'a'", `"a"`, "é", "\\", "|", "012345678901", "0x1", ":80", "*a", "{"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ToValidUTF8(text, "") != text || strings.ContainsFunc(text, unprintable) {
			return
		}
		file := "data: " + yamlScalar(text) + " # a comment\n"
		values, problems := parseFile("f.yaml", []byte(file))
		if len(problems) > 0 || values["data"].text != text {
			t.Errorf("%q was written as %q and read as %q, %v", text, file, values["data"].text, problems)
		}
	})
}

// unprintable are characters that no YAML file may have, and that no parser has
// to read back from an escape.
func unprintable(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0xfff0
}

// TestDeepNesting gives the YAML parser the deepest file that it may be given.
func TestDeepNesting(t *testing.T) {
	for _, unit := range []string{"[", "{", "- ", "a: {", "? ", "!a ", "&a "} {
		_, problems := parseFile("f.yaml", []byte(strings.Repeat(unit, maxFile/len(unit))))
		if len(problems) == 0 {
			t.Errorf("%q, over and over, is no problem", unit)
		}
	}
}
