package eventsapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"headwater/internal/event"
	"headwater/internal/httpapi"
	"headwater/internal/telemetry/notify"
)

// The names of events in the stream.
const (
	objectChange    = "object-state-change"
	containerChange = "container-state-change"
	gap             = "gap"
)

// stream writes Server-Sent Events: what is written is held until flush.
type stream struct {
	w       *httpapi.Response
	control *http.ResponseController
	now     func() time.Time
	held    bytes.Buffer
	sent    time.Time // the last time that something was
}

// event tells of a change.
func (s *stream) event(e *event.Event, render *notify.Renderer) error {
	envelope := render.Envelope(e)
	data, err := json.Marshal(&envelope) // has no line ends
	if err != nil {
		return err
	}
	name := objectChange
	if envelope.DetailType == notify.ContainerStateChange {
		name = containerChange
	}
	fmt.Fprintf(&s.held, "id: %d\nevent: %s\ndata: %s\n\n", e.Position, name, data)
	return nil
}

// gap says that events up to a place are not there any more. It is not known how
// many when missed is 0.
func (s *stream) gap(upTo, missed uint64) {
	fmt.Fprintf(&s.held, "id: %d\nevent: %s\ndata: {\"missed\":%d}\n\n", upTo, gap, missed)
}

// place is a sign of life. It dispatches nothing at the client, which only notes
// the place (section 9.2.6): it has seen what there was to see up to there.
func (s *stream) place(position uint64) {
	fmt.Fprintf(&s.held, ": alive\nid: %d\n\n", position)
}

// flush sends what is held, to a client that takes it in time.
func (s *stream) flush() error {
	if s.held.Len() == 0 {
		return nil
	}
	s.sent = s.now()
	if err := s.control.SetWriteDeadline(s.sent.Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := s.held.WriteTo(s.w); err != nil {
		return err
	}
	return s.control.Flush()
}
