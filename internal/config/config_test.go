package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// samples are two valid values for every setting, neither of them the default,
// spelled as the setting prints them.
func samples() map[string][2]string {
	return map[string][2]string{
		"config":                    {"a.yaml", "b.yaml"},
		"listen":                    {"[::1]:9000", ":80"},
		"data":                      {"/srv/a", "/srv/b"},
		"region":                    {"eu-west-1", "ap-south-2"},
		"account":                   {"111122223333", "012345678901"},
		"domain":                    {"a.example", "b.example"},
		"tls-cert":                  {"a.pem", "b.pem"},
		"tls-key":                   {"c.pem", "d.pem"},
		"trusted-proxies":           {"10.0.0.0/8,192.0.2.7", "2001:db8::/32"},
		"log-level":                 {"debug", "error"},
		"drain-timeout":             {"1m", "1h0m1s"},
		"max-object-size":           {"25MB", "25MiB"},
		"max-streaming-object-size": {"1B", "3GB"},
		"upload-timeout":            {"1h", "1m30s"},
		"upload-idle-timeout":       {"0s", "1s"},
		"max-uploads":               {"1", "2"},
		"max-path-length":           {"1", "2"},
		"max-path-levels":           {"0", "2"},
		"max-containers":            {"1", "2"},
		"max-metric-rules":          {"1", "300"},
		"archive":                   {"/srv/cold", "s3://bucket/prefix"},
		"archive-endpoint":          {"http://127.0.0.1:7070", "https://s3.example"},
		"sweep-interval":            {"1m", "2h"},
		"sweep-rate":                {"1", "500"},
		"log-max-size":              {"1MB", "1GiB"},
		"log-rotate-every":          {"1h", "48h"},
		"log-keep":                  {"1", "100"},
		"metrics-listen":            {"127.0.0.1:9484", ":9484"},
		"cloudwatch-namespace":      {"Live/Origin", "a"},
		"otlp":                      {"metrics", "metrics,traces"},
		"otlp-endpoint":             {"http://collector:4318", "https://otlp.example"},
		"public-url":                {"https://media.example", "http://origin:8484"},
		"webhook":                   {"https://a.example/hook", "https://a.example/hook?x=1,http://127.0.0.1:9/b"},
		"webhook-secret":            {"webhook-secret-0001", "webhook-secret-0002"},
		"event-bus":                 {"default", "arn:aws:events:us-east-1:111122223333:event-bus/live"},
		"events-retain":             {"0", "500"},
		"events-limit":              {"1", "500"},
		"events-max-age":            {"1m", "48h"},
		"aws-region":                {"eu-central-1", "us-gov-west-1"},
		"cloudwatch-endpoint":       {"http://127.0.0.1:1", "https://monitoring.example"},
		"cloudwatch-logs-endpoint":  {"http://127.0.0.1:2", "https://logs.example"},
		"eventbridge-endpoint":      {"http://127.0.0.1:3", "https://events.example"},
		"root-access-key":           {"AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPL2"},
		"root-secret-key":           {"wJalrXUtnFEMI/K7", "bPxRfiCYEXAMPLEKEY"},
	}
}

// sample returns two values; settings with choices take them from there.
func sample(t *testing.T, s Setting) (low, high string) {
	t.Helper()
	if pair, ok := samples()[s.Name]; ok {
		return pair[0], pair[1]
	}
	if len(s.Choices) < 2 {
		t.Fatalf("%s: the test has no samples of this setting", s.Name)
	}
	return s.Choices[0], s.Choices[1]
}

// companions completes settings that go in pairs.
func companions(env []string, name string) []string {
	other := map[string]string{
		"tls-cert": "tls-key", "tls-key": "tls-cert",
		"root-access-key": "root-secret-key", "root-secret-key": "root-access-key",
		"webhook": "webhook-secret",
	}[name]
	if other == "" {
		return env
	}
	s := Setting{Name: other}
	return append(env, s.Env()+"="+samples()[other][0])
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "headwater.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestPrecedence sets every setting in every place where it may be set, with a
// source of lower rank contradicting.
func TestPrecedence(t *testing.T) {
	for _, s := range Settings() {
		t.Run(s.Name, func(t *testing.T) {
			low, high := sample(t, s)
			check := func(in Input, want, origin string) {
				t.Helper()
				if origin != "default" {
					in.Env = companions(in.Env, s.Name)
				}
				l, err := Load(in)
				if err != nil {
					t.Fatal(err)
				}
				if got := s.get(&l.Config); got != want || l.Origin(&s) != origin {
					t.Errorf("got %q from %s, want %q from %s", got, l.Origin(&s), want, origin)
				}
			}
			check(Input{}, s.Default(), "default")
			check(Input{Env: []string{s.Env() + "="}}, s.Default(), "default")

			var files []string
			if s.IsKey() {
				name := writeFile(t, fmt.Sprintf("# a comment\n%s: %q\n", s.Name, low))
				files = []string{"HEADWATER_CONFIG=" + name}
				check(Input{Env: files}, low, name+":2")
			}
			if s.Name != "config" { // the file that it names is read
				check(Input{Env: append(files, s.Env()+"="+high)}, high, s.Env())
			}
			if s.IsFlag() && s.Name != "config" {
				env := slices.Concat(files, []string{s.Env() + "=" + high})
				check(Input{Env: env, Flags: map[string]string{s.Name: low}}, low, "--"+s.Name)
			}
		})
	}
}

func TestConfigFlagWinsOverVariable(t *testing.T) {
	name := writeFile(t, "region: eu-west-1\n")
	l, err := Load(Input{
		Env:   []string{"HEADWATER_CONFIG=/nonexistent.yaml"},
		Flags: map[string]string{"config": name},
	})
	if err != nil || l.Region != "eu-west-1" || l.File != name {
		t.Errorf("region %q, file %q, error %v", l.Region, l.File, err)
	}
}

func TestFileSpellings(t *testing.T) {
	for _, test := range []struct{ text, setting, want string }{
		{"", "region", "us-east-1"},
		{"# nothing\n", "region", "us-east-1"},
		{"---\n", "region", "us-east-1"},
		{"account: 012345678901\n", "account", "012345678901"},
		{"account: 000000000010\n", "account", "000000000010"},
		{"domain:\n", "domain", ""},
		{"data: 1.50\n", "data", "1.50"},
		{"data: true\n", "data", "true"},
		{"data: |-\n  /srv\n", "data", "/srv"},
		{`{listen: ":80"}`, "listen", ":80"},
		{"max-uploads: 7\n", "max-uploads", "7"},
		{"trusted-proxies: 10.0.0.0/8, 192.0.2.7\n", "trusted-proxies", "10.0.0.0/8,192.0.2.7"},
		{"trusted-proxies: [10.0.0.0/8, 192.0.2.7]\n", "trusted-proxies", "10.0.0.0/8,192.0.2.7"},
		{"trusted-proxies:\n  - 10.1.2.3/8\n  - 2001:db8::1\n", "trusted-proxies", "10.0.0.0/8,2001:db8::1"},
		{"trusted-proxies: []\n", "trusted-proxies", ""},
	} {
		t.Run(test.text, func(t *testing.T) {
			l, err := Load(Input{Env: []string{"HEADWATER_CONFIG=" + writeFile(t, test.text)}})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range Settings() {
				if got := s.get(&l.Config); s.Name == test.setting && got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			}
		})
	}
}

func TestFileErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"region: eu-west-1\nlissten: :80\n", "lissten (FILE:2): is not a setting; headwater config print lists them all"},
		{"root-secret-key: abcdefghijklmnop\n", "root-secret-key (FILE:1): may not be set in the file; set HEADWATER_ROOT_SECRET_KEY in the environment"},
		{"config: other.yaml\n", "config (FILE:1): may not be set in the file; set HEADWATER_CONFIG in the environment"},
		{"\nmax-uploads: many\n", `max-uploads (FILE:2): is "many": must be a whole number from 1 to 1000000`},
		{"listen: [a, b]\n", "listen (FILE:1): must be a single value"},
		{"listen: {a: b}\n", "listen (FILE:1): must be a single value"},
		{"listen: &a :80\n", "listen (FILE:1): must be a single value"},
		{"trusted-proxies: [[10.0.0.1]]\n", "trusted-proxies (FILE:1): must be a single value or a list of them"},
		{"- listen\n", "config (FILE:1): must be a mapping of settings to values, such as listen: 127.0.0.1:8484"},
		{"region: eu-west-1\n---\nregion: eu-west-2\n", "config (FILE:3): must be one YAML document"},
		{"region: eu-west-1\nregion: eu-west-2\n", `config (FILE:2): is not YAML: mapping key "region" already defined at [1:1]`},
		{"listen: [\n", "config (FILE:1): is not YAML: sequence end token ']' not found"},
		{"quotas: aws\nlissten: a\nengine: disk\n", `lissten (FILE:2): is not a setting; headwater config print lists them all; engine (FILE:3): is "disk": must be logstore or memory`},
		{strings.Repeat("#", maxFile+1), "config (FILE): has more than 16384 bytes"},
	} {
		t.Run(test.want, func(t *testing.T) {
			name := writeFile(t, test.text)
			_, err := Load(Input{Flags: map[string]string{"config": name}})
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, strings.ReplaceAll(err.Error(), name, "FILE")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "cannot be opened: no such file or directory",
		dir:                             "cannot be read: is a directory",
	} {
		_, err := Load(Input{Flags: map[string]string{"config": name}})
		if err == nil || err.Error() != "config ("+name+"): "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestInvalidValues holds the message of every rule.
func TestInvalidValues(t *testing.T) {
	const (
		listen   = ": must be HOST:PORT, such as 127.0.0.1:8484, [::1]:8484, or :8484 for every interface"
		region   = ": must be two words and a digit such as us-east-1, because the ARNs of the API have no room for another form"
		domain   = ": must be a DNS name of at most 233 characters, such as media.example.com"
		duration = ": must be a duration such as 30s, 5m or 1h30m, and not negative"
		size     = ": must be a whole number of bytes above 0, alone or with a unit: kB, MB, GB, TB count by 1000 and KiB, MiB, GiB, TiB by 1024"
		proxies  = ": must be IP addresses or CIDR blocks, such as 10.0.0.0/8,192.0.2.7"
		access   = "must be 16 to 128 letters, digits or underscores"
		server   = ": must be an http or https URL without user, query and fragment"
		secret   = "must be 16 to 128 printable ASCII characters, without spaces or line ends"
	)
	long := strings.Repeat("a.", 116) + "aa"
	tests := []struct{ setting, text, want string }{
		{"listen", "8484", `is "8484"` + listen},
		{"listen", "::1:8484", `is "::1:8484"` + listen},
		{"listen", "localhost:http", `is "localhost:http": the port must be a number from 0 to 65535`},
		{"listen", ":65536", `is ":65536": the port must be a number from 0 to 65535`},
		{"listen", "a b:1", `is "a b:1": the host must be an IP address or a DNS name`},
		{"data", "", "must not be empty"},
		{"engine", "s3", `is "s3": must be logstore or memory`},
		{"engine", "", `is "": must be logstore or memory`},
		{"region", "us-gov-west-1", `is "us-gov-west-1"` + region},
		{"region", "us-east-10", `is "us-east-10"` + region},
		{"region", "us-east-1\n", `is "us-east-1\n"` + region},
		{"account", "12345", `is "12345": must be 12 digits`},
		{"domain", "media_example", `is "media_example"` + domain},
		{"domain", "192.0.2.7", `is "192.0.2.7"` + domain},
		{"domain", "example.com.", `is "example.com."` + domain},
		{"domain", long, `is "` + long + `"` + domain},
		{"tls-cert", "a.pem", ""},
		{"trusted-proxies", "10.0.0.0/8,,", `has the entry ""` + proxies},
		{"trusted-proxies", "10.0.0.0/33", `has the entry "10.0.0.0/33"` + proxies},
		{"trusted-proxies", "proxy.example", `has the entry "proxy.example"` + proxies},
		{"trusted-proxies", "::ffff:10.0.0.1", `has the entry "::ffff:10.0.0.1"` + proxies},
		{"trusted-proxies", "::ffff:10.0.0.0/104", `has the entry "::ffff:10.0.0.0/104"` + proxies},
		{"trusted-proxies", "fe80::1%eth0", `has the entry "fe80::1%eth0"` + proxies},
		{"log-format", "xml", `is "xml": must be text or json`},
		{"log-level", "INFO", `is "INFO": must be debug, info, warn or error`},
		{"drain-timeout", "10", `is "10"` + duration},
		{"drain-timeout", "-1s", `is "-1s"` + duration},
		{"upload-timeout", "soon", `is "soon"` + duration},
		{"upload-idle-timeout", "", `is ""` + duration},
		{"quotas", "gcp", `is "gcp": must be headwater or aws`},
		{"max-object-size", "0", `is "0"` + size},
		{"max-object-size", "-1", `is "-1"` + size},
		{"max-object-size", "+1", `is "+1"` + size},
		{"max-object-size", "1.5GB", `is "1.5GB"` + size},
		{"max-object-size", "25 MBB", `is "25 MBB"` + size},
		{"max-object-size", "", `is ""` + size},
		{"max-object-size", "9223372TB", ""},
		{"max-object-size", "9223373TB", `is "9223373TB"` + size},
		{"max-streaming-object-size", "MB", `is "MB"` + size},
		{"max-uploads", "0", `is "0": must be a whole number from 1 to 1000000`},
		{"max-path-length", "4097", `is "4097": must be a whole number from 1 to 4096`},
		{"max-path-levels", "-1", `is "-1": must be a whole number from 0 to 255`},
		{"max-containers", "x", `is "x": must be a whole number from 1 to 1000000`},
		{"max-metric-rules", "301", `is "301": must be a whole number from 1 to 300`},
		{"archive-endpoint", "s3.example", `is "s3.example"` + server},
		{"archive-endpoint", "http://user:password@s3.example", `is "http://user:xxxxx@s3.example"` + server},
		{"archive-endpoint", "http://s3.example?x", `is "http://s3.example?x"` + server},
		{"public-url", "ftp://origin", `is "ftp://origin"` + server},
		{"sweep-interval", "0s", `is "0s": must be longer than zero`},
		{"sweep-rate", "0", `is "0": must be a whole number from 1 to 1000000`},
		{"access-log", "syslog", `is "syslog": must be auto, file, stdout, cloudwatch, otlp or off`},
		{"audit-log", "otlp", `is "otlp": must be auto, file, stdout or off`},
		{"metrics-listen", "9484", `is "9484"` + listen},
		{"metrics-listen", "", ""},
		{"cloudwatch-metrics", "yes", `is "yes": must be true or false`},
		{"cloudwatch-namespace", "AWS/MediaStore", `is "AWS/MediaStore": must be 1 to 255 letters, digits or any of .-_/#:, and not begin with AWS/`},
		{"otlp", "metrics,logs", `has the entry "logs": must be metrics or traces; access logs are exported by access-log otlp`},
		{"webhook", "https://a.example,b.example", `has the entry "b.example": must be http or https URLs without user and fragment`},
		{"webhook", "https://u:secret@a.example", `has the entry "https://u:xxxxx@a.example": must be http or https URLs without user and fragment`},
		{"webhook-secret", "short", secret},
		{"event-bus", "a b", `is "a b": must be the name or the ARN of an event bus`},
		{"aws-region", "US", `is "US": must be the name of a region, such as us-east-1`},
		{"root-access-key", "short", access},
		{"root-access-key", "AKIAIOSFODNN7EXAMPLE/", access},
		{"root-secret-key", "short", secret},
		{"root-secret-key", "ends-with-a-line-end\n", secret},
	}
	settings := make(map[string]Setting)
	for _, s := range Settings() {
		settings[s.Name] = s
	}
	for _, test := range tests {
		c := Default()
		got := ""
		s := settings[test.setting]
		if err := s.set(&c, test.text); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s = %q:\ngot  %s\nwant %s", test.setting, test.text, got, test.want)
		}
		if diff := cmp.Diff(s.Default(), s.get(&c)); test.want != "" && diff != "" {
			t.Errorf("%s = %q changed the value: %s", test.setting, test.text, diff)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Load(Input{
		Flags: map[string]string{"listen": "x", "tls-cert": "a.pem"},
		Env:   []string{"HEADWATER_MAX_UPLOADS=0", "HEADWATER_ROOT_SECRET_KEY=wJalrXUtnFEMI/K7", "HEADWATER_REGION=eu-west-1"},
	})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, p := range e.Problems {
		got = append(got, p.Setting+" "+p.Origin)
	}
	want := []string{"listen --listen", "max-uploads HEADWATER_MAX_UPLOADS", "tls-key ", "root-access-key "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPairs(t *testing.T) {
	const together = " is: the two go together"
	for _, test := range []struct{ env, want string }{
		{"HEADWATER_TLS_CERT=a", "tls-key: must be set, because tls-cert" + together},
		{"HEADWATER_TLS_KEY=a", "tls-cert: must be set, because tls-key" + together},
		{"HEADWATER_WEBHOOK=http://a", "webhook-secret: must be set, because webhook" + together},
		{"HEADWATER_ROOT_ACCESS_KEY=AKIAIOSFODNN7EXAMPLE", "root-secret-key: must be set, because root-access-key" + together},
		{"HEADWATER_ROOT_SECRET_KEY=wJalrXUtnFEMI/K7", "root-access-key: must be set, because root-secret-key" + together},
	} {
		if _, err := Load(Input{Env: []string{test.env}}); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", test.env, err, test.want)
		}
	}
}

// TestValidateHandBuilt shows that a Config that Load never saw is held to the
// same rules.
func TestValidateHandBuilt(t *testing.T) {
	c := Default()
	c.Listen, c.DrainTimeout, c.Quotas.MetricRules, c.RootSecretKey = "8484", -1, 301, NewSecret("short")
	c.Quotas.ObjectSize, c.LogLevel, c.Engine = 0, slog.LevelInfo+1, "disk"
	var e *Error
	if err := c.Validate(); !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, p := range e.Problems {
		got = append(got, p.Setting)
	}
	want := []string{"engine", "listen", "drain-timeout", "log-level", "max-object-size", "max-metric-rules", "root-secret-key", "root-access-key"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(e.Error(), "short") {
		t.Errorf("the secret is in the message: %v", e)
	}
}

func TestPresetGoesUnderExplicitValues(t *testing.T) {
	name := writeFile(t, "max-streaming-object-size: 20MB\n")
	l, err := Load(Input{
		Flags: map[string]string{"quotas": "aws", "config": name},
		Env:   []string{"HEADWATER_UPLOAD_TIMEOUT=1m", "HEADWATER_QUOTAS=headwater"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range quotaSettings()[1:5] {
		got = append(got, s.get(&l.Config)+" "+l.Origin(&s))
	}
	want := []string{"25MB quotas: aws", "20MB " + name + ":1", "1m HEADWATER_UPLOAD_TIMEOUT", "30s default"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownVariables(t *testing.T) {
	l, err := Load(Input{Env: []string{
		"HEADWATER_REGON=x", "HEADWATER_DATADIR=", "PATH=/bin", "HEADWATER_REGION=eu-west-1",
		"HEADWATER_SERVICE_HOST=10.0.0.1", "HEADWATER_PORT=tcp://10.0.0.1:8484", "HEADWATER_PORT_8484_TCP=x",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"HEADWATER_DATADIR", "HEADWATER_REGON"}, l.UnknownEnv); diff != "" {
		t.Error(diff)
	}
}

// TestPrintIsAFile reads back what Print wrote.
func TestPrintIsAFile(t *testing.T) {
	in := Input{Env: []string{
		"HEADWATER_ROOT_ACCESS_KEY=AKIAIOSFODNN7EXAMPLE", "HEADWATER_ROOT_SECRET_KEY=very-secret-secret",
		"HEADWATER_TRUSTED_PROXIES=10.0.0.0/8,::1", "HEADWATER_QUOTAS=aws", "HEADWATER_DATA=null",
	}}
	first, err := Load(in)
	if err != nil {
		t.Fatal(err)
	}
	printed := first.Print()
	if strings.Contains(printed, "very-secret") || !strings.Contains(printed, redacted) {
		t.Errorf("the secret is not redacted:\n%s", printed)
	}
	in.Flags = map[string]string{"config": writeFile(t, printed)}
	in.Env = in.Env[:2]
	second, err := Load(in)
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	second.File = ""
	if diff := cmp.Diff(first.Config, second.Config, equal()); diff != "" {
		t.Error(diff)
	}
}

func TestSecretNeverShows(t *testing.T) {
	const text = "wJalrXUtnFEMI/K7"
	c := Default()
	c.RootSecretKey = NewSecret(text)
	var log strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("started", "secret", c.RootSecretKey, "config", c)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	printed := log.String() + string(asJSON) + string(asYAML)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		printed += fmt.Sprintf(verb, c) + fmt.Sprintf(verb, &c) + fmt.Sprintf(verb, c.RootSecretKey)
	}
	for _, leak := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text)} {
		if strings.Contains(printed, leak) {
			t.Errorf("%q shows in:\n%s", leak, printed)
		}
	}
	if c.RootSecretKey.Reveal() != text {
		t.Error("Reveal does not return the secret")
	}
	if empty := NewSecret(""); empty.String() != "" {
		t.Errorf("no secret prints as %q", empty)
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]ByteSize{
		"1": 1, "25 MB": 25e6, "25mb": 25e6, "25MiB": 25 << 20, "1024": 1024, "10KB": 10e3, "007B": 7, "8388607TiB": 8388607 << 40,
	} {
		if got, err := parseByteSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for size, want := range map[ByteSize]string{
		1: "1B", 1000: "1kB", 1024: "1KiB", 25e6: "25MB", 25 << 20: "25MiB", 1 << 30: "1GiB", 1025: "1025B", 0: "0", -5: "-5",
	} {
		if got := size.String(); got != want {
			t.Errorf("%d: got %s, want %s", int64(size), got, want)
		}
	}
}
