// Package e2e holds the end-to-end tests: the real binary, on a free port, with
// the real clients. The code here starts the binary and watches its wire; what a
// client does lies in the tests and in the clients' own languages beside them.
//
// It must not reach into the program: only the wire models are shared.
package e2e
