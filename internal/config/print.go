package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Print returns the configuration in force as a file that would set it, with a
// comment after each value that says where it came from. What may not be set in
// a file is a comment; secrets do not show.
func (l *Loaded) Print() string {
	var b strings.Builder
	for _, s := range Settings() {
		line := s.Name + ": " + l.show(&s)
		if !s.IsKey() {
			line = "# " + line
		}
		fmt.Fprintf(&b, "%-44s # %s\n", line, l.Origin(&s))
	}
	return b.String()
}

func (l *Loaded) show(s *Setting) string {
	text := s.get(&l.Config)
	if s.secret {
		text = NewSecret(text).String()
	}
	return yamlScalar(text)
}

// Origin says where a setting's value came from.
func (l *Loaded) Origin(s *Setting) string {
	origin, set := l.origins[s.Name]
	switch {
	case set:
		return origin
	case s.get(&l.Config) != s.Default():
		return "quotas: " + string(l.Quotas.Preset) // nothing else moves what is not set
	default:
		return "default"
	}
}

// plain are texts that need no quotes in YAML, if they are not words that stand
// for something else: they begin and end with a character that means nothing.
var plain = regexp.MustCompile(`^([A-Za-z1-9]|\.?/)([A-Za-z0-9/._:-]*[A-Za-z0-9])?$`)

// yamlScalar writes text so that every reader of YAML takes it for that text.
// What Go escapes in a quoted string, YAML does too (YAML 1.2.2, section 5.7).
func yamlScalar(text string) string {
	switch strings.ToLower(text) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return strconv.Quote(text)
	}
	if plain.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}
