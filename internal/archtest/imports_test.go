package archtest

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "headwater/"

// rooms is the import table of ARCHITECTURE.md. A package belongs to the room
// with the longest path that it is below, and may import its own room and those
// named here. Everything may import internal/mediastore.
var rooms = []struct {
	path string
	may  []string
	why  string
}{
	{"cmd/headwater", []string{"internal/cli"}, "main is a signal context, streams and an exit code"},
	{"internal/cli", []string{"internal/app", "internal/config", "internal/demo", "internal/loadtest", "internal/backup"}, "a verb wires nothing itself"},
	{"internal/app", []string{
		"internal/config", "internal/httpapi", "internal/access", "internal/containers", "internal/objects",
		"internal/engine", "internal/wiremodel", "internal/sweep", "internal/archive", "internal/telemetry", "internal/event",
		"internal/metricpolicy",
	}, "app is the one place that wires, and decides nothing that a rule could"},
	{"internal/config", nil, "settings are values: they know nothing of what uses them"},
	{"internal/backup", nil, "a backup is files with their sums: it knows neither a server nor what is in them"},
	{"internal/demo", nil, "the demo channel is a client: it knows the server by its wire only"},
	{"internal/loadtest", nil, "a load test is a client: it knows the server by its wire only"},
	{"internal/httpapi", nil, "what edges share knows no service, or every edge would know them all"},
	{"internal/httpapi/controlapi", []string{"internal/httpapi", "internal/access", "internal/containers", "internal/wiremodel", "internal/event"}, "an edge owns a wire, not durability"},
	{"internal/httpapi/dataapi", []string{"internal/httpapi", "internal/access", "internal/containers", "internal/objects", "internal/cors", "internal/engine", "internal/event"}, "an edge owns a wire, not durability"},
	{"internal/httpapi/opsapi", []string{"internal/httpapi", "internal/access"}, "operators' pages need no service but the one that lets them in"},
	{"internal/httpapi/eventsapi", []string{"internal/httpapi", "internal/access", "internal/engine", "internal/event", "internal/telemetry/notify"}, "an edge owns a wire, not durability"},
	{"internal/httpapi/backupapi", []string{"internal/httpapi", "internal/access"}, "an edge owns a wire: how a checkpoint is made it is told"},
	{"internal/httpapi/player", []string{"internal/httpapi"}, "the player is a page: it reads like any other client"},
	{"internal/access", []string{"internal/sigv4", "internal/policy"}, "who is calling does not depend on what is called"},
	{"internal/containers", []string{"internal/engine", "internal/policy", "internal/cors", "internal/lifecycle", "internal/metricpolicy"}, "services own rules, engines durability"},
	{"internal/objects", []string{"internal/engine"}, "services own rules, engines durability"},
	{"internal/sweep", []string{"internal/engine", "internal/lifecycle", "internal/event"}, "the sweeper is told what the cold tier is, and finds the engine by its contract"},
	{"internal/archive", nil, "the cold tier keeps named bytes: it knows neither objects nor why they came"},
	{"internal/telemetry/metrics", []string{"internal/event", "internal/metricpolicy"}, "a listener knows the facts, not who tells them"},
	{"internal/telemetry/logfile", nil, "a file of lines knows nothing of what is in them"},
	{"internal/telemetry/accesslog", []string{"internal/event", "internal/telemetry/logfile"}, "a listener knows the facts, not who tells them"},
	{"internal/telemetry/audit", []string{"internal/event", "internal/telemetry/logfile"}, "a listener knows the facts, not who tells them"},
	{"internal/telemetry/notify", []string{"internal/event", "internal/engine"}, "it reads the engine's log of changes, and that is all it wants of the engine"},
	{"internal/telemetry/cloudwatch", []string{"internal/event", "internal/metricpolicy", "internal/telemetry/accesslog"}, "a listener knows the facts, not who tells them"},
	{"internal/telemetry/otlp", []string{"internal/event", "internal/telemetry/accesslog"}, "a listener knows the facts, not who tells them"},
	{"internal/engine", []string{"internal/event"}, "the contract is free of protocols, SDKs and engines"},
	{"internal/engine/enginetest", []string{"internal/engine", "internal/event"}, "the suite must not know an engine"},
	{"internal/engine/memory", []string{"internal/engine", "internal/event"}, "engines do not know each other"},
	{"internal/engine/logstore", []string{"internal/engine", "internal/event"}, "engines do not know each other"},
	{"internal/sigv4", nil, "a pure rule"},
	{"internal/policy", []string{"internal/strictjson", "internal/glob"}, "a pure rule"},
	{"internal/cors", []string{"internal/strictjson", "internal/glob"}, "a pure rule"},
	{"internal/lifecycle", []string{"internal/strictjson", "internal/glob"}, "a pure rule"},
	{"internal/metricpolicy", []string{"internal/strictjson", "internal/glob"}, "a pure rule"},
	{"internal/wiremodel", nil, "a pure rule"},
	{"internal/strictjson", nil, "shared by rules, knows none of them"},
	{"internal/glob", nil, "shared by rules, knows none of them"},
	{"internal/mediastore", nil, "the vocabulary imports nothing but std"},
	{"internal/event", []string{"internal/metricpolicy"}, "facts know neither who tells them nor who listens"},
	{"internal/awstest", []string{"internal/sigv4"}, "the stand-in for AWS checks with our verifier, which shares no code with the SDK"},
	{"internal/archtest", nil, "holds no code"},
	{"bench", nil, "the benchmarks know the program by its binary; to fill a store with old objects, a test may write one"},
	{"e2e", nil, "the end-to-end tests know the program by its binary and the wire models"},
}

// bans are imports from outside that only some rooms may have, directly or
// through others.
var bans = []struct {
	prefix string
	only   []string
	why    string
}{
	{"github.com/cockroachdb/pebble", []string{"internal/engine/logstore", "internal/app", "internal/cli", "cmd/headwater"}, "the index is logstore's secret"},
	{"github.com/spf13/cobra", []string{"internal/cli", "cmd/headwater"}, "verbs live in cli"},
	{"github.com/goccy/go-yaml", []string{"internal/config", "internal/app", "internal/cli", "cmd/headwater"}, "the file format is config's secret"},
	{"github.com/aws/", []string{
		"internal/archive", "internal/backup", "internal/telemetry/cloudwatch", "internal/telemetry/notify", "internal/httpapi/eventsapi",
		"internal/app", "internal/cli", "cmd/headwater", "bench",
	}, "the server speaks its own wire itself; the SDK is for those who call AWS"},
	{"github.com/prometheus", []string{
		"internal/telemetry/metrics", "internal/telemetry/otlp", "internal/engine/logstore", "internal/app", "internal/cli", "cmd/headwater",
	}, "who counts does not know how counts are kept; logstore gets it through Pebble"},
	{"go.opentelemetry.io", []string{
		"internal/telemetry/otlp", "internal/app", "internal/cli", "cmd/headwater",
	}, "OpenTelemetry is one listener's secret"},
	{"net/http", []string{
		"internal/httpapi", "internal/sigv4", "internal/access", "internal/wiremodel", "internal/demo", "internal/loadtest",
		"internal/app", "internal/cli", "cmd/headwater", "internal/engine/logstore", "internal/awstest",
		"internal/archive", "internal/backup", "internal/telemetry/cloudwatch", "internal/telemetry/notify", "internal/telemetry/metrics", "internal/telemetry/otlp",
		"bench",
	}, "services and rules know no protocol; access and sigv4 read a request, logstore gets it through Pebble's metrics"},
}

// pkg is a package with what it imports, directly and in all. Tests' imports are
// not looked at: a test may use anything.
type pkg struct {
	path    string
	imports []string
	deps    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}};{{join .Imports ","}};{{join .Deps ","}}`, "headwater/cmd/...", "headwater/internal/...", "headwater/e2e/...", "headwater/bench/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ";")
		all = append(all, pkg{strings.TrimPrefix(f[0], module), strings.Split(f[1], ","), strings.Split(f[2], ",")})
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// roomOf returns the index of the room that a package lies in, or -1.
func roomOf(path string) int {
	best := -1
	for i, room := range rooms {
		if below(path, room.path) && (best < 0 || len(room.path) > len(rooms[best].path)) {
			best = i
		}
	}
	return best
}

func below(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		i := roomOf(p.path)
		if i < 0 {
			t.Errorf("%s lies in no room of the table", p.path)
			continue
		}
		for _, imported := range p.imports {
			target, ours := strings.CutPrefix(imported, module)
			if ours && !allowed(i, roomOf(target)) {
				t.Errorf("%s imports %s: %s", p.path, target, rooms[i].why)
			}
		}
	}
}

func allowed(from, to int) bool {
	if to < 0 {
		return false
	}
	target := rooms[to].path
	return from == to || target == "internal/mediastore" || slices.ContainsFunc(rooms[from].may, func(room string) bool {
		return below(target, room)
	})
}

func TestOnlySomeRoomsKnow(t *testing.T) {
	for _, p := range packages(t) {
		for _, ban := range bans {
			if slices.ContainsFunc(ban.only, func(room string) bool { return below(p.path, room) }) {
				continue
			}
			for _, dep := range p.deps {
				if strings.HasPrefix(dep, ban.prefix) {
					t.Errorf("%s reaches %s: %s", p.path, dep, ban.why)
				}
			}
		}
	}
}
