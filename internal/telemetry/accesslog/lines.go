package accesslog

import (
	"context"
	"io"
)

// lines is a Sink of one record a line.
type lines struct {
	out    io.Writer
	closer io.Closer // nil to leave out open
	buf    []byte
}

// File returns a Sink that writes each batch as whole lines in one write, and
// closes the file in the end. A *logfile.File is one.
func File(f io.WriteCloser) Sink { return &lines{out: f, closer: f} }

// Stream returns a Sink that writes each batch as whole lines in one write. It
// does not close w, which may be standard output.
func Stream(w io.Writer) Sink { return &lines{out: w} }

func (l *lines) Write(_ context.Context, batch []Entry) error {
	l.buf = l.buf[:0]
	for i := range batch {
		l.buf = append(append(l.buf, batch[i].JSON...), '\n')
	}
	_, err := l.out.Write(l.buf)
	return err
}

func (l *lines) Close() error {
	if l.closer == nil {
		return nil
	}
	return l.closer.Close()
}
