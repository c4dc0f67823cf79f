package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files")

// result is what a run left behind.
type result struct {
	Code           int
	Stdout, Stderr string
}

// run runs a verb that ends by itself.
func run(t *testing.T, env []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := Main(t.Context(), Process{
		Args: args, Env: env, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Version: "v1.2.3",
	})
	return result{code, stdout.String(), stderr.String()}
}

// verbs calls use for every command of ours, with the words that name it.
func verbs(cmd *cobra.Command, words []string, use func(cmd *cobra.Command, words []string)) {
	use(cmd, words)
	for _, sub := range cmd.Commands() {
		verbs(sub, append(words[:len(words):len(words)], sub.Name()), use)
	}
}

func TestHelp(t *testing.T) {
	const dir = "testdata/help"
	left := make(map[string]bool)
	files, err := filepath.Glob(dir + "/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		left[file] = true
	}
	verbs(newRoot(Process{Version: "v1.2.3"}), nil, func(cmd *cobra.Command, words []string) {
		got := run(t, nil, append(words, "--help")...)
		if got.Code != exitOK || got.Stderr != "" {
			t.Errorf("%v --help: code %d, %s", words, got.Code, got.Stderr)
		}
		file := filepath.Join(dir, strings.Join(append([]string{"headwater"}, words...), "-")+".txt")
		delete(left, file)
		compareGolden(t, file, got.Stdout)
	})
	for file := range left {
		t.Errorf("%s belongs to no command", file)
	}
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test ./internal/cli -rewrite writes it):\n%s", file, diff)
	}
}

func TestEveryVerbExplainsItself(t *testing.T) {
	verbs(newRoot(Process{}), nil, func(cmd *cobra.Command, words []string) {
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s: short %q, long %q, example %q", cmd.CommandPath(), cmd.Short, cmd.Long, cmd.Example)
		}
		if strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the short text ends with a full stop", cmd.CommandPath())
		}
	})
}

func TestNoArgumentsShowHelp(t *testing.T) {
	if diff := cmp.Diff(run(t, nil, "--help"), run(t, nil)); diff != "" {
		t.Error(diff)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"srve"}, `unknown command "srve" (did you mean serve?); see headwater --help`},
		{[]string{"frobnicate"}, `unknown command "frobnicate"; see headwater --help`},
		{[]string{"config", "prin"}, `unknown command "prin" (did you mean print?); see headwater config --help`},
		{[]string{"--nonsense"}, `unknown flag: --nonsense; see headwater --help`},
		{[]string{"serve", "--nonsense"}, `unknown flag: --nonsense; see headwater serve --help`},
		{[]string{"serve", "--listen"}, `flag needs an argument: --listen; see headwater serve --help`},
		{[]string{"serve", "--root-secret-key=wJalrXUtnFEMI/K7"}, `unknown flag: --root-secret-key; see headwater serve --help`},
		{[]string{"serve", "now"}, `headwater serve takes no arguments, but was given "now"; see headwater serve --help`},
		{[]string{"demo", "--region", "x"}, `unknown flag: --region; see headwater demo --help`},
		{[]string{"demo", "--listen", "x"}, `listen (--listen): is "x": must be HOST:PORT, such as 127.0.0.1:8484, [::1]:8484, or :8484 for every interface`},
		{[]string{"version", "x"}, `headwater version takes no arguments, but was given "x"; see headwater version --help`},
		{[]string{"completion"}, `completion needs one shell: bash, fish, powershell, zsh; see headwater completion --help`},
		{[]string{"completion", "csh"}, `completion needs one shell: bash, fish, powershell, zsh; see headwater completion --help`},
	} {
		want := result{exitUsage, "", "headwater: " + test.want + "\n"}
		if diff := cmp.Diff(want, run(t, nil, test.args...)); diff != "" {
			t.Errorf("%v:\n%s", test.args, diff)
		}
	}
}

func TestEveryConfigurationProblemHasALine(t *testing.T) {
	env := []string{"HEADWATER_MAX_UPLOADS=0", "HEADWATER_ROOT_SECRET_KEY=tell-nobody"}
	for _, verb := range [][]string{{"serve"}, {"config", "print"}} {
		want := result{exitUsage, "", `headwater: region (--region): is "moon": must be two words and a digit such as us-east-1, because the ARNs of the API have no room for another form
headwater: max-uploads (HEADWATER_MAX_UPLOADS): is "0": must be a whole number from 1 to 1000000
headwater: root-secret-key (HEADWATER_ROOT_SECRET_KEY): must be 16 to 128 printable ASCII characters, without spaces or line ends
`}
		if diff := cmp.Diff(want, run(t, env, append(verb, "--region", "moon")...)); diff != "" {
			t.Errorf("%v:\n%s", verb, diff)
		}
	}
}

func TestConfigPrint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headwater.yaml")
	if err := os.WriteFile(file, []byte("log-format: json\nregion: eu-west-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"HEADWATER_REGION=eu-west-2", "HEADWATER_CONFIG=" + file,
		"HEADWATER_ROOT_ACCESS_KEY=AKIAIOSFODNN7EXAMPLE", "HEADWATER_ROOT_SECRET_KEY=tell-nobody-at-all",
	}
	got := run(t, env, "config", "print", "--quotas", "aws", "--max-object-size=30MB")
	if got.Code != exitOK || got.Stderr != "" {
		t.Fatalf("code %d, %s", got.Code, got.Stderr)
	}
	compareGolden(t, "testdata/config-print.txt", strings.ReplaceAll(got.Stdout, file, "FILE"))
	if strings.Contains(got.Stdout, "tell-nobody") {
		t.Error("the secret shows")
	}
}

func TestVersion(t *testing.T) {
	text := run(t, nil, "version")
	if text.Code != exitOK || !strings.HasPrefix(text.Stdout, "headwater v1.2.3 ") {
		t.Errorf("version: %+v", text)
	}
	if got := run(t, nil, "--version"); got.Stdout != "headwater v1.2.3\n" {
		t.Errorf("--version: %+v", got)
	}
	var b build
	asJSON := run(t, nil, "version", "--json")
	if err := json.Unmarshal([]byte(asJSON.Stdout), &b); err != nil || b.Version != "v1.2.3" || b.Go == "" || b.Platform == "" {
		t.Errorf("version --json: %+v: %v", asJSON, err)
	}
}

func TestDescribe(t *testing.T) {
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}
	for _, test := range []struct {
		version string
		info    debug.BuildInfo
		want    string
	}{
		{"v1.2.3", debug.BuildInfo{Main: debug.Module{Version: "v0.0.1"}}, "headwater v1.2.3"},
		{"", debug.BuildInfo{Main: debug.Module{Version: "v0.0.1"}}, "headwater v0.0.1"},
		{"", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: vcs[:2]}, "headwater devel commit abc"},
		{"", debug.BuildInfo{Settings: vcs}, "headwater devel commit abc with changes"},
		{"", debug.BuildInfo{}, "headwater devel"},
	} {
		b := describeInfo(test.version, &test.info)
		if got := strings.TrimSuffix(b.String(), " "+b.Go+" "+b.Platform); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for shell, mark := range map[string]string{
		"bash": "complete -o default -F __start_headwater headwater", "fish": "complete -c headwater",
		"powershell": "Register-ArgumentCompleter -CommandName 'headwater'", "zsh": "#compdef headwater",
	} {
		got := run(t, nil, "completion", shell)
		if got.Code != exitOK || got.Stderr != "" || !strings.Contains(got.Stdout, mark) {
			t.Errorf("%s: code %d, %s, no %q", shell, got.Code, got.Stderr, mark)
		}
	}
}

// TestCompletions asks as the bash script does.
func TestCompletions(t *testing.T) {
	const (
		noFiles  = ":4"
		allFiles = ":0"
		onlyDirs = ":16"
	)
	for _, test := range []struct {
		words, want []string
	}{
		{[]string{"completion", ""}, []string{"bash", "fish", "powershell", "zsh", noFiles}},
		{[]string{"serve", "--engine", ""}, []string{"logstore", "memory", noFiles}},
		{[]string{"serve", "--log-level", "d"}, []string{"debug", "info", "warn", "error", noFiles}},
		{[]string{"serve", "--quotas="}, []string{"headwater", "aws", noFiles}},
		{[]string{"serve", "--region", ""}, []string{noFiles}},
		{[]string{"serve", "--config", ""}, []string{allFiles}},
		{[]string{"demo", "--data", ""}, []string{onlyDirs}},
		{[]string{"serve", ""}, []string{noFiles}},
	} {
		got := run(t, nil, append([]string{"__completeNoDesc"}, test.words...)...)
		if diff := cmp.Diff(test.want, strings.Fields(got.Stdout)); diff != "" || got.Code != exitOK {
			t.Errorf("%q: code %d\n%s", test.words, got.Code, diff)
		}
	}
}
