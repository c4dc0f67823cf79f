// Package e2e holds the end-to-end tests: the real binary, on a free port, with
// the real clients. The code here starts the binary and watches its wire; what a
// client does lies in the tests and in the clients' own languages beside them.
//
// It must not reach into the program: only the wire models and the stand-in for
// AWS are shared, and the engine writes the objects that are older than any client
// can make them.
package e2e
