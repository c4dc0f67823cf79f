package policy

import (
	"net/netip"
	"strings"
	"time"
)

// Effect is what a document says about a request.
type Effect uint8

// The effects. A document that says nothing denies implicitly.
const (
	ImplicitDeny Effect = iota
	Allow
	ExplicitDeny
)

// String returns the effect in words, for messages and logs.
func (e Effect) String() string {
	switch e {
	case Allow:
		return "allow"
	case ExplicitDeny:
		return "explicit deny"
	default:
		return "implicit deny"
	}
}

// Result is a decision, and the statement that it comes from.
type Result struct {
	Effect    Effect
	Statement int    // index in the document, -1 for an implicit deny
	Sid       string // of that statement, empty when it has none
}

// Request is what is to be decided.
type Request struct {
	Principal Principal
	Action    string // "mediastore:GetObject", in any case
	Resource  string // an ARN, or "*" for an action that is about no resource
	Context   Context
}

// Context is what conditions and policy variables can ask about besides the
// principal. A zero field is a key that the request does not have; only
// SecureTransport is always there.
type Context struct {
	SourceIP        netip.Addr // aws:SourceIp
	SecureTransport bool       // aws:SecureTransport
	Referer         string     // aws:Referer
	UserAgent       string     // aws:UserAgent
	CurrentTime     time.Time  // aws:CurrentTime and aws:EpochTime, in whole seconds
	RequestedRegion string     // aws:RequestedRegion

	extra map[string][]string // by lower-case key
}

// Add gives the request values under a key that Context has no field for, like
// "aws:ResourceTag/team". Keys compare without regard to case. Values that are
// added under a key twice join those that are there.
func (c *Context) Add(key string, values ...string) {
	if c.extra == nil {
		c.extra = make(map[string][]string)
	}
	key = strings.ToLower(key)
	c.extra[key] = append(c.extra[key], values...)
}

// Document is a compiled policy. It is immutable and safe for concurrent use.
type Document struct {
	statements []statement
}

// Evaluate decides a request. A statement that denies wins over any that allow,
// whatever their order.
func (d *Document) Evaluate(r *Request) Result {
	result := Result{Statement: -1}
	for i := range d.statements {
		s := &d.statements[i]
		if s.effect == result.Effect || !s.applies(r) {
			continue
		}
		result = Result{Effect: s.effect, Statement: i, Sid: s.sid}
		if s.effect == ExplicitDeny {
			break
		}
	}
	return result
}

// statement is one compiled statement. Each not… turns the element before it
// into its negation: NotPrincipal, NotAction, NotResource.
type statement struct {
	sid    string
	effect Effect

	principals   *principals // nil in an identity policy, which is about its bearer
	notPrincipal bool
	actions      []template
	notAction    bool
	resources    []arnPattern
	notResource  bool
	conditions   []condition
}

func (s *statement) applies(r *Request) bool {
	return s.names(r) && s.covers(r) && s.reaches(r) && s.holds(r)
}

func (s *statement) names(r *Request) bool {
	return s.principals == nil || s.principals.include(&r.Principal) != s.notPrincipal
}

func (s *statement) covers(r *Request) bool {
	for i := range s.actions {
		if s.actions[i].matches(r, r.Action, foldCase) {
			return !s.notAction
		}
	}
	return s.notAction
}

func (s *statement) reaches(r *Request) bool {
	for _, pattern := range s.resources {
		if pattern.matches(r, r.Resource) {
			return !s.notResource
		}
	}
	return s.notResource
}

func (s *statement) holds(r *Request) bool {
	for i := range s.conditions {
		if !s.conditions[i].holds(r) {
			return false
		}
	}
	return true
}
