package policy

import (
	"strings"
	"unicode/utf8"
)

// caseRule says whether letters compare with regard to their case.
type caseRule bool

const (
	exactCase caseRule = false
	foldCase  caseRule = true
)

// match reports whether the parts, none of them a variable, describe the whole
// text. On a mismatch only the last * that was met swallows one character more:
// what an earlier one could swallow, the last one can too. The time is bounded by
// the product of both lengths.
func match(parts []part, text string, fold caseRule) bool {
	next, star, rest := 0, -1, ""
	for next < len(parts) || text != "" {
		if next < len(parts) && parts[next].kind == anyRun {
			star, rest = next, text
			next++
			if next == len(parts) {
				return true
			}
			continue
		}
		if next < len(parts) {
			if n := parts[next].prefix(text, fold); n >= 0 {
				text = text[n:]
				next++
				continue
			}
		}
		if star < 0 || rest == "" {
			return false
		}
		_, n := utf8.DecodeRuneInString(rest)
		rest = rest[n:]
		next, text = star+1, rest
	}
	return true
}

// prefix returns how many bytes of text the part, a literal or ?, describes; -1
// when text does not begin with it.
func (p *part) prefix(text string, fold caseRule) int {
	if p.kind == anyOne {
		if _, n := utf8.DecodeRuneInString(text); n > 0 {
			return n
		}
		return -1
	}
	n := len(p.text)
	if len(text) < n || !equal(text[:n], p.text, fold) {
		return -1
	}
	return n
}

func equal(a, b string, fold caseRule) bool {
	return a == b || bool(fold) && strings.EqualFold(a, b)
}
