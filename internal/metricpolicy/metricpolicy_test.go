package metricpolicy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/mediastore"
	"headwater/internal/metricpolicy"
)

func mustParse(t testing.TB, text string) *metricpolicy.Policy {
	t.Helper()
	p, err := metricpolicy.Parse([]byte(text), metricpolicy.MaxRules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rule returns a rule in JSON.
func rule(group, name string) string {
	return fmt.Sprintf(`{"ObjectGroup":"%s","ObjectGroupName":"%s"}`, group, name)
}

// document returns a policy of the given rules.
func document(rules ...string) string {
	return `{"ContainerLevelMetrics":"ENABLED","MetricPolicyRules":[` + strings.Join(rules, ",") + `]}`
}

// numbered returns n rules.
func numbered(n int) (rules []string) {
	for i := range n {
		rules = append(rules, rule("a", fmt.Sprint("g", i)))
	}
	return rules
}

func TestGroups(t *testing.T) {
	tests := []struct {
		group   string
		in, out []mediastore.Path
	}{
		{"sports/soccer", []mediastore.Path{"sports/soccer", "sports/soccer/a.ts", "sports/soccer/sat/a.ts"},
			[]mediastore.Path{"sports/soccer2", "sports/a.ts", "a/sports/soccer/a.ts", "Sports/soccer/a.ts"}},
		{"/sports/soccer", []mediastore.Path{"sports/soccer/a.ts"}, []mediastore.Path{"a/sports/soccer/a.ts"}},
		{"sports/", []mediastore.Path{"sports/a.ts", "sports/soccer/a.ts"}, []mediastore.Path{"sports", "a/sports", "a/sports/b"}},
		{"sports", []mediastore.Path{"sports", "sports/a.ts", "a/sports"}, []mediastore.Path{"sports2", "a/sports/b.ts"}},
		{"/sports", []mediastore.Path{"sports", "sports/a.ts"}, []mediastore.Path{"a/sports"}},
		{"live.mpd", []mediastore.Path{"live.mpd", "a/b/live.mpd"}, []mediastore.Path{"alive.mpd", "a/live.mpd2"}},
		{"*.m3u8", []mediastore.Path{"a.m3u8", "a/b/c.m3u8", ".m3u8"}, []mediastore.Path{"a.ts", "a.m3u8/b.ts"}},
		{"index*.m3u8", []mediastore.Path{"index.m3u8", "a/index1.m3u8"}, []mediastore.Path{"a/main.m3u8"}},
		{"/index*.m3u8", []mediastore.Path{"index1.m3u8"}, []mediastore.Path{"a/index1.m3u8"}},
		{"sports/*/hd", []mediastore.Path{"sports/soccer/hd/a.ts", "sports/a/b/hd/c/d.ts"}, []mediastore.Path{"sports/hd/a.ts", "sports/a/sd/a.ts"}},
		{"sports/*.ts", []mediastore.Path{"sports/a.ts", "sports/a/b.ts"}, []mediastore.Path{"sports/a.mp4", "news/a.ts"}},
		{"sports/day*_hd/", []mediastore.Path{"sports/day1_hd/a.ts"}, []mediastore.Path{"sports/day1_hd"}},
		{"*", []mediastore.Path{"a", "a/b"}, nil},
		{"/", []mediastore.Path{"a", "a/b"}, nil},
	}
	for _, test := range tests {
		p := mustParse(t, document(rule(test.group, "g")))
		for _, path := range test.in {
			if groups := slices.Collect(p.Groups(path)); !slices.Equal(groups, []metricpolicy.GroupName{"g"}) {
				t.Errorf("%q is not in the group %q: %v", path, test.group, groups)
			}
		}
		for _, path := range test.out {
			if groups := slices.Collect(p.Groups(path)); groups != nil {
				t.Errorf("%q is in the group %q", path, test.group)
			}
		}
	}
}

func TestAnObjectCountsInEveryGroupThatItIsIn(t *testing.T) {
	p := mustParse(t, document(rule("*.ts", "segments"), rule("news", "news"), rule("sports/soccer", "soccer"), rule("sports", "sports")))
	want := []metricpolicy.GroupName{"segments", "soccer", "sports"}
	if diff := cmp.Diff(want, slices.Collect(p.Groups("sports/soccer/a.ts"))); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	for name := range p.Groups("sports/soccer/a.ts") {
		if name != "segments" {
			t.Errorf("went on with %s after the caller had enough", name)
		}
		break
	}
}

// TestGuide holds the groups against the policies that the service's guide has for
// examples.
func TestGuide(t *testing.T) {
	const baseball, football, first, second = "baseballGroup", "footballGroup", "footballGroup1", "footballGroup2"
	saturdays := document(rule("baseball/saturday", baseball), rule("football/saturday", football))
	overlapping := document(rule("sports/football/saturday", first), rule("sports/football", second))
	tests := []struct {
		policy string
		path   mediastore.Path
		want   []metricpolicy.GroupName
	}{
		{`{"ContainerLevelMetrics":"ENABLED"}`, "a.m3u8", nil},
		{saturdays, "baseball/saturday/a.ts", []metricpolicy.GroupName{baseball}},
		{saturdays, "football/saturday/a.ts", []metricpolicy.GroupName{football}},
		{saturdays, "football/sunday/a.ts", nil},
		{document(rule("*.m3u8", "index")), "football/index1.m3u8", []metricpolicy.GroupName{"index"}},
		{document(rule("*.m3u8", "index")), "football/index1.ts", nil},
		{overlapping, "sports/football/saturday/a.ts", []metricpolicy.GroupName{first, second}},
		{overlapping, "sports/football/a.ts", []metricpolicy.GroupName{second}},
	}
	for _, test := range tests {
		if got := slices.Collect(mustParse(t, test.policy).Groups(test.path)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %s is in %q, want %q", test.policy, test.path, got, test.want)
		}
	}
}

func TestNames(t *testing.T) {
	p := mustParse(t, document(rule("*.ts", "segments"), rule("news", "news")))
	if got, want := slices.Collect(p.Names()), []metricpolicy.GroupName{"segments", "news"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for name := range p.Names() {
		if name != "segments" {
			t.Errorf("went on with %s after the caller had enough", name)
		}
		break
	}
	if got := slices.Collect(mustParse(t, `{"ContainerLevelMetrics":"ENABLED"}`).Names()); got != nil {
		t.Errorf("without rules there are %q", got)
	}
}

func TestContainerLevel(t *testing.T) {
	for text, want := range map[string]bool{
		`{"ContainerLevelMetrics":"ENABLED"}`:                           true,
		`{"ContainerLevelMetrics":"DISABLED"}`:                          false,
		`{"ContainerLevelMetrics":"DISABLED","MetricPolicyRules":null}`: false,
	} {
		p := mustParse(t, text)
		if p.ContainerLevel() != want || slices.Collect(p.Groups("a")) != nil {
			t.Errorf("%s: container level %v, want %v and no groups", text, p.ContainerLevel(), want)
		}
	}
}

func TestParseAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"300 rules":        document(numbered(300)...),
		"group of 900":     document(rule(strings.Repeat("a", 900), "g")),
		"group of one":     document(rule("a", "g")),
		"10 folders":       document(rule("/a/b/c/d/e/f/g/h/i/j/k", "g")),
		"every letter":     document(rule("azAZ09_=:.-~*/x/", "azAZ09_")),
		"name of 30":       document(rule("a", strings.Repeat("n", 30))),
		"names differ":     document(rule("a", "g"), rule("a", "G")),
		"1048576 letters":  document(rule("a", "g")) + strings.Repeat(" ", 1<<20-len(document(rule("a", "g")))),
		"the largest, too": largest(),
	} {
		if _, err := metricpolicy.Parse([]byte(text), metricpolicy.MaxRules); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// largest returns the largest policy that the other limits allow.
func largest() string {
	var rules []string
	for i := range metricpolicy.MaxRules {
		rules = append(rules, rule(strings.Repeat("a", 900), fmt.Sprintf("%030d", i)))
	}
	return document(rules...)
}

func TestParseRefuses(t *testing.T) {
	const (
		rules = "MetricPolicy.MetricPolicyRules"
		group = rules + "[0].ObjectGroup"
		name  = rules + "[0].ObjectGroupName"
	)
	tests := []struct{ text, field, message string }{
		{``, "MetricPolicy", "must not be empty"},
		{`[]`, "MetricPolicy", "must be an object"},
		{`{}`, "MetricPolicy.ContainerLevelMetrics", "is required"},
		{`{"ContainerLevelMetrics":true}`, "MetricPolicy.ContainerLevelMetrics", "must be ENABLED or DISABLED"},
		{`{"ContainerLevelMetrics":"enabled"}`, "MetricPolicy.ContainerLevelMetrics", "must be ENABLED or DISABLED"},
		{`{"ContainerLevelMetrics":"ENABLED","Rules":[]}`, "MetricPolicy", `unknown field "Rules"`},
		{document() + strings.Repeat(" ", 1<<20), "MetricPolicy", "at most 1048576"},
		{document(), rules, "1 to 300 elements, not 0"},
		{document(numbered(301)...), rules, "1 to 300 elements, not 301"},
		{document("1"), rules + "[0]", "must be an object"},
		{document(`{"ObjectGroup":"a","ObjectGroupName":"g","x":1}`), rules + "[0]", `unknown field "x"`},
		{document(`{"ObjectGroupName":"g"}`), group, "is required"},
		{document(`{"ObjectGroup":"a"}`), name, "is required"},
		{document(rule("", "g")), group, "1 to 900 characters"},
		{document(rule(strings.Repeat("a", 901), "g")), group, "1 to 900 characters"},
		{document(rule("a b", "g")), group, "must be a path or file name"},
		{document(rule("a?", "g")), group, "must be a path or file name"},
		{document(rule("a//b", "g")), group, "must be a path or file name"},
		{document(rule("//a", "g")), group, "must be a path or file name"},
		{document(rule("a\\n", "g")), group, "must be a path or file name"},
		{document(rule("a/b/c/d/e/f/g/h/i/j/k/l", "g")), group, "must be a path or file name"},
		{document(rule("a", "g"), rule("ä", "h")), rules + "[1].ObjectGroup", "must be a path or file name"},
		{document(rule("a", "")), name, "1 to 30 characters"},
		{document(rule("a", strings.Repeat("n", 31))), name, "1 to 30 characters"},
		{document(rule("a", "g-h")), name, "letters, digits and underscores"},
		{document(rule("a", "g\\n")), name, "letters, digits and underscores"},
		{document(rule("a", "g"), rule("b", "g")), rules + "[1].ObjectGroupName", "the name of an earlier rule"},
	}
	for _, test := range tests {
		_, err := metricpolicy.Parse([]byte(test.text), metricpolicy.MaxRules)
		wantInvalid(t, test.text, err, test.field, test.message)
	}
}

func TestQuota(t *testing.T) {
	const rules = "MetricPolicy.MetricPolicyRules"
	five, six := document(numbered(5)...), document(numbered(6)...)
	if _, err := metricpolicy.Parse([]byte(five), 5); err != nil {
		t.Error(err)
	}
	_, err := metricpolicy.Parse([]byte(six), 5)
	wantInvalid(t, "6 rules", err, rules, "has 6 rules: the quota is 5, and it can be raised to 300")
	_, err = metricpolicy.Parse([]byte(document(numbered(301)...)), 1000)
	wantInvalid(t, "301 rules", err, rules, "1 to 300 elements")
	if _, err := metricpolicy.Parse([]byte(`{"ContainerLevelMetrics":"ENABLED"}`), 0); err != nil {
		t.Error(err)
	}
	_, err = metricpolicy.Parse([]byte(document(numbered(1)...)), 0)
	wantInvalid(t, "1 rule", err, rules, "the quota is 0")
}

func wantInvalid(t *testing.T, text string, err error, field, message string) {
	t.Helper()
	var e *mediastore.Error
	if !errors.As(err, &e) || e.Kind != mediastore.KindInvalid || e.Field != field || !strings.Contains(e.Message, message) {
		t.Errorf("%.120s: %v\nwant %s: %s", text, err, field, message)
	}
}

func TestGroupsDoesNotAllocate(t *testing.T) {
	p := mustParse(t, document(rule("*.ts", "segments"), rule("sports", "sports")))
	count := 0
	if n := testing.AllocsPerRun(100, func() {
		for range p.Groups("sports/a.ts") {
			count++
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse: no document makes it panic, one that it accepts is accepted again
// after another program has re-encoded it, and then groups the same.
func FuzzParse(f *testing.F) {
	f.Add(document(rule("*.ts", "segments"), rule("/sports/", "sports")), "sports/a.ts")
	f.Add(document(rule("//", "g")), "")
	f.Add(document(rule("a/*/b", "g"), rule("a", "g")), "\xff/")
	f.Add(`{"ContainerLevelMetrics":"DISABLED","MetricPolicyRules":null}`, "/")
	f.Add(`{"MetricPolicyRules":[null]}`, "a")
	f.Fuzz(func(t *testing.T, text, path string) {
		first, err := metricpolicy.Parse([]byte(text), metricpolicy.MaxRules)
		if err != nil {
			if first != nil || !mediastore.IsKind(err, mediastore.KindInvalid) {
				t.Fatalf("%q: %v, %v", text, first, err)
			}
			return
		}
		var tree any
		if err := json.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatalf("%q was accepted: %v", text, err)
		}
		again, _ := json.Marshal(tree)
		second, err := metricpolicy.Parse(again, metricpolicy.MaxRules)
		if err != nil {
			t.Fatalf("%q is refused when re-encoded: %v", text, err)
		}
		got, want := slices.Collect(second.Groups(mediastore.Path(path))), slices.Collect(first.Groups(mediastore.Path(path)))
		if second.ContainerLevel() != first.ContainerLevel() || !slices.Equal(got, want) {
			t.Errorf("%q groups %q otherwise when re-encoded: %v, %v", text, path, want, got)
		}
	})
}

func BenchmarkGroups(b *testing.B) {
	p := mustParse(b, document(rule("*.ts", "segments"), rule("*.m3u8", "manifests"), rule("news", "news"), rule("sports", "sports"), rule("sports/*/hd", "hd")))
	b.ReportAllocs()
	for b.Loop() {
		for range p.Groups("sports/final/hd/segment_000123.ts") {
		}
	}
}
