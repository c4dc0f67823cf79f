package cli

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// What a stream may send: a longer line, or an event of more data, is not ours.
const (
	maxEventLine = 64 << 10
	maxEventData = 256 << 10
)

var errEventTooLarge = errors.New("the server sent an event that is too large")

// serverEvent is one of a stream of Server-Sent Events.
type serverEvent struct{ name, data string }

// eventStream reads Server-Sent Events (HTML Living Standard, section 9.2.6).
type eventStream struct {
	lines  *bufio.Scanner
	alive  func() // called for each line
	lastID string // of the last block that was complete, with an event or without

	begun bool
}

func newEventStream(r io.Reader, alive func()) *eventStream {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEventLine)
	lines.Split(splitLine)
	return &eventStream{lines: lines, alive: alive}
}

// splitLine splits at CR LF, LF or CR. A CR at the end of what has come waits for
// what follows, since LF may.
func splitLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	for i, c := range data {
		switch {
		case c == '\n':
			return i + 1, data[:i], nil
		case c == '\r' && i+1 < len(data) && data[i+1] == '\n':
			return i + 2, data[:i], nil
		case c == '\r' && (i+1 < len(data) || atEOF):
			return i + 1, data[:i], nil
		}
	}
	if atEOF {
		return len(data), nil, nil // a line without an end is not complete
	}
	return 0, nil, nil
}

// next returns the next event, or why there is none: io.EOF at the end of the
// stream. An event that is not complete then is left out.
func (s *eventStream) next() (serverEvent, error) {
	var e serverEvent
	var data strings.Builder
	id := s.lastID
	for s.lines.Scan() {
		s.alive()
		name, value := s.field(s.lines.Text())
		switch name {
		case "event":
			e.name = value
		case "data":
			data.WriteString(value + "\n")
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		case "":
			s.lastID = id
			if data.Len() > 0 {
				e.data = strings.TrimSuffix(data.String(), "\n")
				return e, nil
			}
			e = serverEvent{}
		}
		if data.Len() > maxEventData {
			return serverEvent{}, errEventTooLarge
		}
	}
	return serverEvent{}, s.end()
}

// field splits a line. The name of a line that ends an event is empty, that of a
// comment is a colon.
func (s *eventStream) field(line string) (name, value string) {
	if !s.begun {
		line, s.begun = strings.TrimPrefix(line, "\ufeff"), true
	}
	if strings.HasPrefix(line, ":") {
		return ":", ""
	}
	name, value, _ = strings.Cut(line, ":")
	return name, strings.TrimPrefix(value, " ")
}

func (s *eventStream) end() error {
	switch err := s.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return errEventTooLarge
	case err != nil:
		return err
	default:
		return io.EOF
	}
}
