package config

import "strings"

// Setting is one row of the table: everything there is to know of one setting.
type Setting struct {
	Name    string   // of the flag, and of the key in the file
	Form    string   // what a value looks like, in one word
	Choices []string // the values there are, when they can be listed
	Bare    string   // what the flag without a value means, empty when it needs one
	Help    string   // one sentence without a full stop

	list    bool // the file may have a YAML list
	secret  bool // the value is never shown
	notFlag bool // may not be set by a flag
	notFile bool // may not be set in the file
	binding
}

// binding reads and writes the setting's field as text.
type binding struct {
	set func(*Config, string) error // the error completes "<setting>: …"
	get func(*Config) string        // what set would take
}

// bind makes the binding of a field. A text that parse refuses leaves the field
// as it was.
func bind[T any](field func(*Config) *T, parse func(string) (T, error), format func(T) string) binding {
	return binding{
		set: func(c *Config, text string) error {
			value, err := parse(text)
			if err == nil {
				*field(c) = value
			}
			return err
		},
		get: func(c *Config) string { return format(*field(c)) },
	}
}

// envPrefix begins the names of all environment variables.
const envPrefix = "HEADWATER_"

// Env returns the name of the setting's environment variable.
func (s *Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// Default returns the value, as text, that is in force when none is set.
func (s *Setting) Default() string {
	c := Default()
	return s.get(&c)
}

// IsFlag reports whether the setting may be given on the command line.
func (s *Setting) IsFlag() bool { return !s.notFlag }

// IsKey reports whether the setting may be given in the file.
func (s *Setting) IsKey() bool { return !s.notFile }
