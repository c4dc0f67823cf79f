package config

import "strings"

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Setting string // the setting's name, or the name that is none
	Origin  string // where the value came from, empty when that is not known
	Message string // the rule that was broken
}

// String returns the problem on one line: which setting, from where, which rule.
func (p Problem) String() string {
	if p.Origin == "" {
		return p.Setting + ": " + p.Message
	}
	return p.Setting + " (" + p.Origin + "): " + p.Message
}

// Error is everything that is wrong with a configuration; never nothing.
type Error struct{ Problems []Problem }

// Error returns all problems on one line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "; ")
}

// asError is nil when there are no problems.
func asError(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &Error{Problems: problems}
}
