// Package accesslog writes a record of every data-plane request to a container
// whose access logging is on.
//
// A record has the fields that MediaStore documents for its access logs, whatever
// Sink it goes to. The package must not know which sink is configured, nor what
// the requests did.
package accesslog
