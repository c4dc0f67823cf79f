package policy

import (
	"errors"
	"strings"
)

// arnParts is how many parts an ARN has; the last may have colons in it:
// arn:partition:service:region:account:resource.
const arnParts = 6

// arnPattern describes ARNs part by part, so that a wildcard does not reach over
// the colon at the end of its part. An empty one describes everything.
type arnPattern []template

var errNotARN = errors.New(`must be * or an ARN, like arn:aws:mediastore:region:account:container/name/*`)

// parseARNPattern completes an ARN of fewer than six parts with * for each that
// is missing, as IAM does.
func parseARNPattern(s string, variables bool) (arnPattern, error) {
	if s == "*" {
		return nil, nil
	}
	whole, err := parseTemplate(s, syntax{wildcards: true, variables: variables})
	if err != nil {
		return nil, err
	}
	p := whole.split()
	if len(p) < 2 || !p[0].isLiteral("arn") {
		return nil, errNotARN
	}
	for len(p) < arnParts {
		p = append(p, template{parts: []part{{kind: anyRun}}})
	}
	return p, nil
}

func (t *template) isLiteral(s string) bool {
	return len(t.parts) == 1 && t.parts[0].kind == literal && t.parts[0].text == s
}

// split cuts the template at its first five colons. Those in a variable are not
// the ARN's.
func (t *template) split() arnPattern {
	pattern := make(arnPattern, 1, arnParts)
	for _, p := range t.parts {
		for p.kind == literal && len(pattern) < arnParts {
			before, after, ok := strings.Cut(p.text, ":")
			if !ok {
				break
			}
			pattern[len(pattern)-1].add(part{kind: literal, text: before})
			pattern = append(pattern, template{})
			p.text = after
		}
		pattern[len(pattern)-1].add(p)
	}
	return pattern
}

func (p arnPattern) matches(r *Request, arn string) bool {
	for i := range p {
		segment := arn
		if i < arnParts-1 {
			var ok bool
			if segment, arn, ok = strings.Cut(arn, ":"); !ok {
				return false
			}
		}
		if !p[i].matches(r, segment, exactCase) {
			return false
		}
	}
	return true
}
