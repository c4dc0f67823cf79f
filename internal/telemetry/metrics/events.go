package metrics

import "github.com/prometheus/client_golang/prometheus"

// eventMetrics are of the sinks that are told of changes.
type eventMetrics struct{ delivered, retried, dropped *prometheus.CounterVec }

func newEventMetrics(f factory) *eventMetrics {
	return &eventMetrics{
		delivered: f.counters("headwater_events_delivered_total", "Events that a sink took", "sink"),
		retried:   f.counters("headwater_events_retried_total", "Deliveries of an event that failed and were, or will be, tried again", "sink"),
		dropped:   f.counters("headwater_events_dropped_total", "Events that a sink never got, by reason", "sink", "reason"),
	}
}

// EventSink counts what becomes of the events for one sink.
type EventSink struct {
	name               string
	delivered, retried prometheus.Counter
	dropped            *prometheus.CounterVec
}

// EventSink registers a sink: a name that no other has and that holds no secret, a
// function that says how many events wait for it, and the reasons for which it
// drops some, which count from zero so that an alert sees the first.
func (m *Metrics) EventSink(name string, backlog func() int, reasons ...string) *EventSink {
	for _, reason := range reasons {
		m.events.dropped.WithLabelValues(name, reason)
	}
	m.more().NewGaugeFunc(prometheus.GaugeOpts{
		Name: "headwater_events_backlog", Help: "Events that a sink has still to get", ConstLabels: prometheus.Labels{"sink": name},
	}, func() float64 { return float64(backlog()) })
	return &EventSink{
		name:      name,
		delivered: m.events.delivered.WithLabelValues(name),
		retried:   m.events.retried.WithLabelValues(name),
		dropped:   m.events.dropped,
	}
}

// Delivered counts events that the sink took.
func (s *EventSink) Delivered(events int) { s.delivered.Add(float64(events)) }

// Retried counts a delivery that failed and will be tried again.
func (s *EventSink) Retried() { s.retried.Inc() }

// Dropped counts events that the sink will never get, for one of its reasons.
func (s *EventSink) Dropped(reason string, events int) {
	s.dropped.WithLabelValues(s.name, reason).Add(float64(events))
}
