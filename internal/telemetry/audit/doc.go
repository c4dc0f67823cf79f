// Package audit keeps a record of every control-plane call, allowed or denied, in
// the form of a CloudTrail event.
//
// A record is written before the call is answered: who got an answer is on file.
// The package must not know an operation, nor decide what may be called.
package audit
