package metricpolicy

import (
	"regexp"
	"slices"

	"headwater/internal/strictjson"
)

// MaxRules is how many rules a policy can have at most, whatever the quota.
const MaxRules = 300

// The service's other limits on a policy, in characters. It sets none on the
// whole document: ours has room for the largest one, indented.
const (
	maxLength     = 1 << 20
	maxGroup      = 900
	maxNameLength = 30
)

var (
	groupForm = regexp.MustCompile(`^/?([A-Za-z0-9_=:.~*-]+/){0,10}([A-Za-z0-9_=:.~*-]+)?/?$`)
	nameForm  = regexp.MustCompile(`^[a-zA-Z0-9_]+$`)
)

// Parse reads a policy: the JSON object that the MetricPolicy member of a request
// holds, with at most maxRules rules, the account's quota, and never more than
// MaxRules. It refuses what could not be carried out, naming the place:
// "MetricPolicy.MetricPolicyRules[1].ObjectGroup".
func Parse(data []byte, maxRules int) (*Policy, error) {
	doc := strictjson.Parse("MetricPolicy", data, maxLength)
	doc.Fields("ContainerLevelMetrics", "MetricPolicyRules")
	policy := &Policy{
		containerLevel: doc.Required("ContainerLevelMetrics").OneOf("ENABLED", "DISABLED") == "ENABLED",
	}
	if rules := doc.Optional("MetricPolicyRules"); rules.Present() {
		policy.parseRules(rules, maxRules)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return policy, nil
}

func (p *Policy) parseRules(v strictjson.Value, maxRules int) {
	rules := v.List(1, MaxRules)
	if len(rules) > maxRules {
		v.Fail("has %d rules: the quota is %d, and it can be raised to %d", len(rules), maxRules, MaxRules)
	}
	for _, rule := range rules {
		p.parseRule(rule)
	}
}

func (p *Policy) parseRule(v strictjson.Value) {
	v.Fields("ObjectGroup", "ObjectGroupName")
	name := v.Required("ObjectGroupName")
	g := group{name: GroupName(name.String(1, maxNameLength))}
	if !nameForm.MatchString(string(g.name)) {
		name.Fail("may only use letters, digits and underscores")
	}
	if slices.ContainsFunc(p.groups, func(other group) bool { return other.name == g.name }) {
		name.Fail("is the name of an earlier rule, too")
	}
	g.define(parseGroup(v.Required("ObjectGroup")))
	p.groups = append(p.groups, g)
}

func parseGroup(v strictjson.Value) string {
	text := v.String(1, maxGroup)
	if !groupForm.MatchString(text) {
		v.Fail("must be a path or file name of letters, digits and _=:.-~*, in at most 10 folders")
	}
	return text
}
