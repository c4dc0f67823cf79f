package dataapi

import (
	"errors"
	"strings"
	"time"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// clientDisconnected stands in logs for an answer that its client did not wait
// for. It is never sent: there is nobody to send it to.
const clientDisconnected = "ClientDisconnected"

// What a client may make a fact grow by, in bytes: facts wait in queues. Paths of
// objects are shorter; the header has 55 bytes (W3C Trace Context, section 3.2).
const (
	maxFactPath    = 4096
	maxTraceParent = 128
)

// cut returns the beginning of a text of the request, without keeping the rest of
// the request in memory.
func cut(s string, n int) string { return strings.Clone(s[:min(len(s), n)]) }

// answered completes what is known of the request, and tells it.
func (c *call) answered(end time.Time, err error) {
	f := c.fact
	f.ID, f.Method = c.w.ID, c.r.Method
	f.Account, f.Container, f.ContainerID = c.container.Account, c.container.Name, c.container.ID
	f.Logged, f.Metrics = c.container.AccessLogging, c.container.Metric
	f.Source, f.Secure = c.w.Client.IP, c.w.Client.Secure
	f.Status, f.BytesSent, f.ErrorCode = c.w.Status, c.w.Sent, c.errorCode(err)
	f.Received, f.FirstByte, f.LastByte = c.w.Received, c.w.FirstByte, end
	f.TraceParent = cut(c.r.Header.Get("Traceparent"), maxTraceParent)
	if f.BodyRead.IsZero() {
		f.BodyRead = f.Received
	}
	if f.Requester == "" {
		f.Requester = event.Anonymous
	}
	if f.Operation != event.ListItems { // which sets its own
		f.Path = cut(c.path, maxFactPath)
	}
	c.api.Answered(f)
}

// errorCode returns what logs say of an error. After the answer has begun it is
// all that is ever said of it.
func (c *call) errorCode(err error) string {
	if err == nil {
		return ""
	}
	a, known := answers[mediastore.KindOf(err)]
	switch {
	case known:
		return a.code
	case c.w.Broken && (c.r.Context().Err() != nil || isConnectionError(err)):
		return clientDisconnected
	default:
		return internal.code
	}
}

// isConnectionError reports whether writing to the client failed, or took longer
// than a client may take.
func isConnectionError(err error) bool {
	var op interface{ Timeout() bool } // net.Error, what it wraps, and a deadline that has passed
	return errors.As(err, &op)
}
