// Package mediastore is the vocabulary of the program: containers, objects,
// paths, ETags and the closed list of error kinds.
//
// Everything else imports it and it imports only the standard library. It must
// not know a protocol (no status code, no header), an engine or a clock.
package mediastore
