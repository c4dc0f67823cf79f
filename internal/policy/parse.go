package policy

import (
	"strings"
)

// Versions of the language. Policy variables came with the second.
const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// Parse compiles a resource policy, like the one of a container. Every error is
// of mediastore.KindInvalid; its Field begins with "Policy" and names the place,
// its Message the rule.
func Parse(data []byte) (*Document, error) {
	p := parser{at: place{document: "Policy"}}
	return p.parse(data)
}

// ParseIdentity compiles a policy that is attached to a user or role and says
// what its bearer may do: it has no Principal, no Id, and only letters and
// digits in a Sid. The Field of its errors begins with "PolicyDocument".
func ParseIdentity(data []byte) (*Document, error) {
	p := parser{at: place{document: "PolicyDocument"}, identity: true}
	return p.parse(data)
}

type parser struct {
	at        place
	identity  bool
	variables bool // the version of the language has policy variables
	sids      map[string]bool
	document  Document
}

func (p *parser) parse(data []byte) (*Document, error) {
	o, err := decode(p.at, data)
	if err != nil {
		return nil, err
	}
	if err := p.header(o); err != nil {
		return nil, err
	}
	statements, ok := o.get("Statement")
	if !ok {
		return nil, p.at.errorf("must have Statement")
	}
	p.sids = make(map[string]bool)
	if err := each(p.at.member("Statement"), statements, p.statement); err != nil {
		return nil, err
	}
	return &p.document, nil
}

func (p *parser) header(o object) error {
	elements := []string{"Version", "Id", "Statement"}
	if p.identity {
		elements = []string{"Version", "Statement"}
	}
	if err := o.only(p.at, elements...); err != nil {
		return err
	}
	if id, ok := o.get("Id"); ok && !isString(id) {
		return p.at.member("Id").errorf("must be a string")
	}
	version, ok := o.get("Version")
	if ok && version != version2008 && version != version2012 {
		return p.at.member("Version").errorf("must be %s or %s", version2012, version2008)
	}
	p.variables = version == version2012
	return nil
}

func isString(value any) bool {
	_, ok := value.(string)
	return ok
}

func (p *parser) statement(at place, value any) error {
	o, ok := value.(object)
	if !ok {
		return at.errorf("must be an object")
	}
	elements := []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
	if p.identity {
		elements = append(elements[:2:2], elements[4:]...)
	}
	if err := o.only(at, elements...); err != nil {
		return err
	}
	var s statement
	for _, parse := range []func(place, object, *statement) error{
		p.sid, p.effect, p.principal, p.action, p.resource, p.condition,
	} {
		if err := parse(at, o, &s); err != nil {
			return err
		}
	}
	p.document.statements = append(p.document.statements, s)
	return nil
}

// sid takes an empty Sid for none: generators of policies write one.
func (p *parser) sid(at place, o object, s *statement) error {
	value, ok := o.get("Sid")
	if !ok {
		return nil
	}
	at = at.member("Sid")
	if s.sid, ok = value.(string); !ok {
		return at.errorf("must be a string")
	}
	if !p.sidAllowed(s.sid) {
		return at.errorf("may only use %s", p.sidRule())
	}
	if s.sid != "" && p.sids[s.sid] {
		return at.errorf("%q is the Sid of another statement: it must be unique in the policy", short(s.sid))
	}
	p.sids[s.sid] = true
	return nil
}

// sidAllowed follows the grammar's note on sid_string: letters and digits in
// IAM, where services with resource policies may take more.
func (p *parser) sidAllowed(sid string) bool {
	extra := " -_."
	if p.identity {
		extra = ""
	}
	return consistsOf(sid, extra)
}

func (p *parser) sidRule() string {
	if p.identity {
		return "letters and digits"
	}
	return "letters, digits, spaces and -_."
}

// consistsOf reports whether s has only ASCII letters, digits, and the
// characters in extra.
func consistsOf(s, extra string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alnum && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return true
}

func (p *parser) effect(at place, o object, s *statement) error {
	value, ok := o.get("Effect")
	switch {
	case !ok:
		return at.errorf("must have Effect")
	case value == "Allow":
		s.effect = Allow
	case value == "Deny":
		s.effect = ExplicitDeny
	default:
		return at.member("Effect").errorf("must be Allow or Deny")
	}
	return nil
}

func (p *parser) action(at place, o object, s *statement) error {
	e, err := o.either(at, "Action")
	if err != nil {
		return err
	}
	s.notAction = e.negated
	return eachString(e.at, e.value, func(at place, text string) error {
		if !isAction(text) {
			return at.errorf("%q must be * or a service, a colon and an action, like mediastore:GetObject", short(text))
		}
		action, err := parseTemplate(text, syntax{wildcards: true})
		s.actions = append(s.actions, action)
		return err
	})
}

// isAction allows wildcards in the action's name and not in the service's.
func isAction(s string) bool {
	if s == "*" {
		return true
	}
	service, name, ok := strings.Cut(s, ":")
	return ok && service != "" && name != "" && consistsOf(service, "-") && consistsOf(name, "-_*?")
}

func (p *parser) resource(at place, o object, s *statement) error {
	e, err := o.either(at, "Resource")
	if err != nil {
		return err
	}
	s.notResource = e.negated
	return eachString(e.at, e.value, func(at place, text string) error {
		pattern, err := parseARNPattern(text, p.variables)
		if err != nil {
			return at.errorf("%q %v", short(text), err)
		}
		s.resources = append(s.resources, pattern)
		return nil
	})
}

func (p *parser) principal(at place, o object, s *statement) error {
	if p.identity {
		return nil
	}
	e, err := o.either(at, "Principal")
	if err != nil {
		return err
	}
	s.notPrincipal = e.negated
	s.principals, err = parsePrincipals(e.at, e.value)
	return err
}

// condition reads operator by operator and key by key. All of them have to hold,
// so an empty Condition, or one with an empty operator, demands nothing.
func (p *parser) condition(at place, o object, s *statement) error {
	value, ok := o.get("Condition")
	if !ok {
		return nil
	}
	at = at.member("Condition")
	operators, ok := value.(object)
	if !ok {
		return at.errorf("must be an object of operators")
	}
	for _, op := range operators {
		if err := p.operator(at.member(op.name), op, s); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) operator(at place, m member, s *statement) error {
	op, ok := parseOperator(m.name)
	if !ok {
		return at.errorf("is not a condition operator")
	}
	keys, ok := m.value.(object)
	if !ok {
		return at.errorf("must be an object of condition keys")
	}
	for _, k := range keys {
		c, err := op.condition(at.member(k.name), k, p.variables)
		if err != nil {
			return err
		}
		s.conditions = append(s.conditions, c)
	}
	return nil
}
