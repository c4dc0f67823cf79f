package config

import (
	"slices"
	"strings"
)

// Input is where settings come from.
type Input struct {
	Flags map[string]string // the flags that were given, by the setting's name
	Env   []string          // NAME=value, as os.Environ returns it
}

// Loaded is a Config that knows where its values came from.
type Loaded struct {
	Config
	// UnknownEnv are variables that look like settings and are none, sorted.
	UnknownEnv []string

	origins map[string]string // by setting; those that were set
}

// given is a value that was set, as text.
type given struct{ text, origin string }

// Load reads all settings. A flag wins over an environment variable, that over
// the file, and that over the default. An empty variable counts as not set. The
// error, an *Error, lists all that is wrong, not only the first.
func Load(in Input) (*Loaded, error) {
	env, unknown := readEnv(in.Env)
	flags := readFlags(in.Flags)
	file, problems := readFile(first("config", flags, env).text)

	l := &Loaded{Config: Default(), UnknownEnv: unknown, origins: make(map[string]string)}
	for _, s := range Settings() {
		value := first(s.Name, flags, env, file)
		if value.origin == "" {
			continue
		}
		l.origins[s.Name] = value.origin
		if err := s.set(&l.Config, value.text); err != nil {
			problems = append(problems, Problem{Setting: s.Name, Origin: value.origin, Message: err.Error()})
		}
	}
	return l, asError(append(problems, l.checkPairs()...))
}

// first returns the value in the first of the sources that has one, or the zero
// value.
func first(name string, sources ...map[string]given) given {
	for _, source := range sources {
		if value, ok := source[name]; ok {
			return value
		}
	}
	return given{}
}

func readFlags(flags map[string]string) map[string]given {
	values := make(map[string]given)
	for name, text := range flags {
		values[name] = given{text, "--" + name}
	}
	return values
}

// readEnv returns the settings in the environment, and the names of variables
// that look like settings.
func readEnv(env []string) (values map[string]given, unknown []string) {
	names := make(map[string]string) // setting by variable
	for _, s := range Settings() {
		names[s.Env()] = s.Name
	}
	values = make(map[string]given)
	for _, entry := range env {
		variable, text, _ := strings.Cut(entry, "=")
		name, known := names[variable]
		switch {
		case known && text != "":
			values[name] = given{text, variable}
		case !known && strings.HasPrefix(variable, envPrefix) && !isServiceLink(variable):
			unknown = append(unknown, variable)
		}
	}
	slices.Sort(unknown)
	return values, unknown
}

// isServiceLink recognises the variables that Kubernetes sets for a service of
// the name headwater. They are nobody's mistake.
func isServiceLink(variable string) bool {
	return strings.HasPrefix(variable, envPrefix+"SERVICE_") ||
		variable == envPrefix+"PORT" || strings.HasPrefix(variable, envPrefix+"PORT_")
}
