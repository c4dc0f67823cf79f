package glob_test

import (
	"strings"
	"testing"

	"headwater/internal/glob"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a", "A", false},
		{"a", "aa", false},
		{"*", "", true},
		{"*", "a/b", true},
		{"**", "", true},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"ab*ba", "aba", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "acb", false},
		{"*ab*ab*", "abab", true},
		{"*ab*ab*", "aab", false},
		{"*aba*ba", "aababa", true},
		{"Football/index*.m3u8", "Football/index.m3u8", true},
		{"Football/index*.m3u8", "Football/index/sd/1.m3u8", true},
		{"Football/index*.m3u8", "Football/main.m3u8", false},
		{"a?c", "abc", false},
		{"[ab]", "a", false},
	}
	for _, test := range tests {
		p := glob.Compile(test.pattern)
		if got := p.Match(test.s); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.s, got, test.want)
		}
	}
}

func TestZeroPattern(t *testing.T) {
	var p glob.Pattern
	if !p.Match("") || p.Match("a") {
		t.Error("the zero pattern must match the empty string and no other")
	}
}

func TestMatchAny(t *testing.T) {
	patterns := []glob.Pattern{glob.Compile("a*"), glob.Compile("*b")}
	for s, want := range map[string]bool{"ax": true, "xb": true, "x": false} {
		if got := glob.MatchAny(patterns, s); got != want {
			t.Errorf("MatchAny(%q) = %v, want %v", s, got, want)
		}
	}
	if glob.MatchAny(nil, "") {
		t.Error("no pattern matched")
	}
}

// naive is the meaning of a pattern, written down without care for speed.
func naive(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] != '*' {
		return s != "" && s[0] == pattern[0] && naive(pattern[1:], s[1:])
	}
	for i := range len(s) + 1 {
		if naive(pattern[1:], s[i:]) {
			return true
		}
	}
	return false
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b*c", "abbc")
	f.Add("*ab*ab*", "aabab")
	f.Add("Football/index*.m3u8", "Football/index1.m3u8")
	f.Add("", "")
	f.Add("**", "\xff")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		// The reference takes exponential time in the number of stars.
		if strings.Count(pattern, "*") > 4 || len(s) > 40 {
			return
		}
		p := glob.Compile(pattern)
		if got, want := p.Match(s), naive(pattern, s); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for name, pattern := range map[string]string{
		"usual":    "live/*/index*.m3u8",
		"hostile":  strings.Repeat("*a", 400) + "*b*",
		"constant": "live/sports/hd/index_00012.m3u8",
	} {
		b.Run(name, func(b *testing.B) {
			p := glob.Compile(pattern)
			s := "live/sports/hd/index_00012.m3u8"
			if name == "hostile" {
				s = strings.Repeat("a", 900)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Match(s)
			}
		})
	}
}
