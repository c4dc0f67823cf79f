package metrics_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"headwater/internal/telemetry/metrics"
)

var rewrite = flag.Bool("rewrite", false, "write the generated parts of the documentation")

// everything returns all metrics there are, each with a sample.
func everything(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	m, p := newMetrics(), mustParse(t, onlyContainer)
	m.SetPolicy("live", p)
	m.Request(get(p, "a"))
	broken := get(p, "a")
	broken.ErrorCode = "ClientDisconnected"
	m.Request(broken)
	m.HTTP("data", 200, time.Second)
	m.Uploads(1000, func() int { return 1 }, func() int { return 1 })
	m.Engine(func() metrics.EngineStats { return metrics.EngineStats{} })
	m.Audited(errors.New("disk"))
	m.EventSink("webhook", func() int { return 1 }, "too old")
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// ours reports whether a metric is not one of Go's or the process's.
func ours(name string) bool {
	return strings.HasPrefix(name, "headwater_") || strings.HasPrefix(name, "mediastore_")
}

// TestDocumentation holds the table in the documentation against the metrics.
func TestDocumentation(t *testing.T) {
	const file, begin, end = "../../../docs/metrics.md", "<!-- metrics: begin -->\n", "<!-- metrics: end -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, hasBegin := strings.Cut(string(text), begin)
	_, after, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		t.Fatalf("%s has no place for the table, between %q and %q", file, begin, end)
	}
	want := before + begin + documentation(everything(t)) + end + after
	if *rewrite {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("go test ./internal/telemetry/metrics -rewrite mends this:\n%s", diff)
	}
}

// documentation renders the metrics as a Markdown table.
func documentation(families []*dto.MetricFamily) string {
	var b strings.Builder
	b.WriteString("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	for _, f := range families {
		if !ours(f.GetName()) {
			continue
		}
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n",
			f.GetName(), strings.ToLower(f.GetType().String()), unit(f.GetName()), strings.Join(labels, " "), f.GetHelp())
	}
	return b.String()
}

// unit reads a metric's unit in its name, as Prometheus wants it there.
func unit(name string) string {
	for _, unit := range []string{"seconds", "bytes"} {
		if slices.Contains(strings.Split(name, "_"), unit) {
			return unit
		}
	}
	return ""
}

func TestNamesAndHelp(t *testing.T) {
	form := regexp.MustCompile(`^(headwater|mediastore)(_[a-z0-9]+)+$`)
	for _, f := range everything(t) {
		name, help := f.GetName(), f.GetHelp()
		if !ours(name) {
			continue
		}
		if isCounter := f.GetType() == dto.MetricType_COUNTER; !form.MatchString(name) || isCounter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s, a %s, does not have the form of a name", name, f.GetType())
		}
		if help == "" || strings.HasSuffix(help, ".") || strings.ContainsAny(help, "|`<>") {
			t.Errorf("%s: help %q", name, help)
		}
	}
}

// TestDeployedExpressions: what the alerts and the dashboard ask for is there.
func TestDeployedExpressions(t *testing.T) {
	known := map[string]bool{"up": true} // Prometheus's own
	for _, f := range everything(t) {
		known[f.GetName()] = true
		if f.GetType() == dto.MetricType_HISTOGRAM {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				known[f.GetName()+suffix] = true
			}
		}
	}
	used := make(map[string]bool)
	for file, expressions := range map[string][]string{
		"alerts.yml":     alerts(t),
		"headwater.json": dashboard(t),
	} {
		if len(expressions) < 15 {
			t.Fatalf("only %d expressions found in %s", len(expressions), file)
		}
		for _, e := range expressions {
			for _, name := range metricsIn(e) {
				used[name] = true
				if !known[name] {
					t.Errorf("%s asks for %s, which there is not:\n%s", file, name, e)
				}
			}
		}
	}
	for _, f := range everything(t) {
		name := f.GetName()
		if ours(name) && !used[name] && !used[name+"_bucket"] && !used[name+"_count"] {
			t.Errorf("%s is in no alert and not on the dashboard", name)
		}
	}
}

// metricsIn returns the names in an expression of PromQL that are neither labels
// nor functions.
func metricsIn(expression string) []string {
	for _, part := range []string{
		`"[^"]*"`, `\{[^}]*\}`, `\[[^\]]*\]`, // values, matchers, ranges
		`\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)`, // lists of labels
		`\boffset\s+\w+`,
		`[a-z_]+\s*\(`, // functions
		`\b(and|or|unless|sum|max|min|avg)\b`,
		`,\s*[a-z_]+\s*\)$`, // the label that label_values asks for
	} {
		expression = regexp.MustCompile(part).ReplaceAllString(expression, " ")
	}
	return regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`).FindAllString(expression, -1)
}

func TestMetricsIn(t *testing.T) {
	for expression, want := range map[string][]string{
		`sum by (a, le) (rate(x_total{job="y", z=~"$z"}[5m])) / x_sum > 2 * 86400`: {"x_total", "x_sum"},
		`label_values(x_total{job="y"}, container)`:                                {"x_total"},
		"x == 0\n  and sum without (b) (y offset 2m) or (vector(0))":               {"x", "y"},
		`histogram_quantile(0.99, sum(increase(x_bucket[$__rate_interval])))`:      {"x_bucket"},
	} {
		if diff := cmp.Diff(want, metricsIn(expression)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expression, diff)
		}
	}
}

func alerts(t *testing.T) (expressions []string) {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			expressions = append(expressions, r.Expr)
			if s := r.Labels["severity"]; s != "page" && s != "ticket" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: labels %v, annotations %v", r.Alert, r.Labels, r.Annotations)
			}
		}
	}
	return expressions
}

// dashboard returns whatever is an expression, at any depth.
func dashboard(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/grafana/headwater.json")
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	return expressionsIn(tree)
}

func expressionsIn(tree any) (expressions []string) {
	switch node := tree.(type) {
	case []any:
		for _, child := range node {
			expressions = append(expressions, expressionsIn(child)...)
		}
	case map[string]any:
		for key, child := range node {
			if text, ok := child.(string); ok && (key == "expr" || key == "definition") {
				expressions = append(expressions, text)
			}
			expressions = append(expressions, expressionsIn(child)...)
		}
	}
	return expressions
}
