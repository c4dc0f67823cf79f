// Package glob matches strings against patterns in which a star stands for any
// characters, none included. No other character is special, and a star crosses
// slashes: what the service's documents call a wildcard.
//
// It must not know what the strings are.
package glob

import "strings"

// Pattern is a compiled pattern. The zero value matches only the empty string.
type Pattern struct {
	star   bool
	head   string   // before the first star; all of it when there is none
	middle []string // between two stars, never empty
	tail   string   // after the last star
}

// Compile prepares a pattern. Every string is a pattern.
func Compile(text string) Pattern {
	parts := strings.Split(text, "*")
	last := len(parts) - 1
	if last == 0 {
		return Pattern{head: text}
	}
	p := Pattern{star: true, head: parts[0], tail: parts[last]}
	for _, part := range parts[1:last] {
		if part != "" {
			p.middle = append(p.middle, part)
		}
	}
	return p
}

// Match reports whether the whole of s fits the pattern. It searches s at most
// once, however many stars there are: the leftmost place for a part leaves the
// most room for those after it, so there is nothing to go back for.
func (p *Pattern) Match(s string) bool {
	if !p.star {
		return s == p.head
	}
	if len(s) < len(p.head)+len(p.tail) || !strings.HasPrefix(s, p.head) || !strings.HasSuffix(s, p.tail) {
		return false
	}
	s = s[len(p.head) : len(s)-len(p.tail)]
	for _, part := range p.middle {
		_, rest, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = rest
	}
	return true
}

// MatchAny reports whether s fits one of the patterns.
func MatchAny(patterns []Pattern, s string) bool {
	for i := range patterns {
		if patterns[i].Match(s) {
			return true
		}
	}
	return false
}
