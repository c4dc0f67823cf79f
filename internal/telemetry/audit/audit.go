package audit

import (
	"io"
	"log/slog"

	"headwater/internal/event"
)

// Output is where records go, each in one write of one whole line. A
// *logfile.File is one. Calls may come at the same time.
type Output interface {
	io.WriteCloser
	Sync() error // what was written outlasts a power cut
}

// stream is an Output that others use too, which may be standard output.
type stream struct{ io.Writer }

// Stream returns an Output that writes to w and neither syncs nor closes it.
func Stream(w io.Writer) Output { return stream{w} }

func (stream) Sync() error  { return nil }
func (stream) Close() error { return nil }

// Config says where the records go.
type Config struct {
	Output Output // the Log closes it
	Log    *slog.Logger

	// OnRecord, unless nil, is told of every record: with nil that it was
	// written, or why it was not.
	OnRecord func(error)
}

// Log writes records. Its methods may be called at the same time.
type Log struct{ c Config }

// New returns a Log.
func New(c Config) *Log {
	if c.OnRecord == nil {
		c.OnRecord = func(error) {}
	}
	return &Log{c}
}

// Call writes the record of a call before it returns, and makes it outlast a power
// cut when the call changed something, as the change itself does. The others are
// left to the operating system, so that nobody can make the disk work by being
// denied.
//
// A record that cannot be written is logged: the call cannot be undone.
func (l *Log) Call(call *event.Call) {
	_, err := l.c.Output.Write(line(call))
	if err == nil && !call.ReadOnly && call.ErrorCode == "" {
		err = l.c.Output.Sync()
	}
	if err != nil {
		l.c.Log.Error("an audit record could not be written", "request", call.ID, "operation", call.Operation,
			"caller", call.Identity.ARN, "code", call.ErrorCode, "error", err)
	}
	l.c.OnRecord(err)
}

// Close closes the output.
func (l *Log) Close() error { return l.c.Output.Close() }
