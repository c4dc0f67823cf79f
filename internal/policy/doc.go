// Package policy is the IAM policy language: it parses a document, says what is
// wrong with it, compiles it once and decides requests by it.
//
// It is a pure rule. It must not know where a document is kept, what an action
// does, who a caller is beyond what a Principal says, or what time it is: the
// request brings everything that a policy can ask about. Whether a caller needs
// an allow at all, and how several documents add up, is for the caller to say.
//
// The files, from the outside in:
//
//	evaluate.go   Document, Request, Result: deciding
//	parse.go      elements of a document and of a statement
//	json.go       JSON with duplicate names and depth refused
//	principal.go  who a statement is about
//	condition.go  one condition: set operators, missing keys
//	operators.go  the table of condition operators
//	keys.go       the table of condition keys
//	template.go   text with wildcards and policy variables
//	glob.go       matching such text
//	arn.go        the same for the six parts of an ARN
package policy
