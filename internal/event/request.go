package event

import (
	"iter"
	"net/netip"
	"time"

	"headwater/internal/mediastore"
	"headwater/internal/metricpolicy"
)

// Operation is an operation of the data plane, as its model names it.
type Operation string

// The operations of the data plane.
const (
	PutObject      Operation = "PutObject"
	GetObject      Operation = "GetObject"
	DescribeObject Operation = "DescribeObject"
	DeleteObject   Operation = "DeleteObject"
	ListItems      Operation = "ListItems"
)

// RequestType is what the metrics call the operation: Put, Get, Describe, Delete
// or List, and empty for what is no operation.
func (o Operation) RequestType() string {
	switch o {
	case PutObject:
		return "Put"
	case GetObject:
		return "Get"
	case DescribeObject:
		return "Describe"
	case DeleteObject:
		return "Delete"
	case ListItems:
		return "List"
	default:
		return ""
	}
}

// Anonymous is the requester that did not identify itself.
const Anonymous = "anonymous"

// Request is a data-plane request to a container that exists, after its answer.
// Listeners share it and must not change it.
type Request struct {
	ID        string    // of the request, as in x-amzn-RequestId
	Operation Operation // empty for a preflight and for a method that is no operation
	Method    string    // of HTTP

	Account     mediastore.AccountID // that owns the container
	Container   mediastore.ContainerName
	ContainerID mediastore.ContainerID
	Logged      bool                 // access logging is on in the container
	Metrics     *metricpolicy.Policy // the container's, nil when it has none

	Path      string     // of the object or folder, as it was asked for, without a slash in front
	Requester string     // ARN, or Anonymous
	Source    netip.Addr // of the client, as far as proxies can be believed
	Secure    bool       // it came over TLS

	Status    int    // of HTTP
	ErrorCode string // empty when there was no error; it may stand beside a status of 200, of an answer that broke off
	ExpiresAt time.Time

	BytesReceived int64 // of the request's body
	BytesSent     int64 // of the answer's body

	Received  time.Time // the request's head had come
	BodyRead  time.Time // the last byte of its body had come; Received when it has none
	FirstByte time.Time // the answer began
	LastByte  time.Time // the answer ended

	TraceParent string // header traceparent (W3C Trace Context), as it came
}

// Groups yields the object groups that the request counts in, and before them the
// empty name when its container as a whole is measured, as the container's metric
// policy says. A request that is no operation counts in none.
func (r *Request) Groups() iter.Seq[metricpolicy.GroupName] {
	return func(yield func(metricpolicy.GroupName) bool) {
		if r.Metrics == nil || r.Operation == "" {
			return
		}
		if r.Metrics.ContainerLevel() && !yield("") {
			return
		}
		r.Metrics.Groups(mediastore.Path(r.Path))(yield)
	}
}

// TotalTime is from the request to the last byte of the answer.
func (r *Request) TotalTime() time.Duration { return r.LastByte.Sub(r.Received) }

// TurnaroundTime is from the last byte of the request to the first byte of the
// answer. An answer that began before the request ended took no time.
func (r *Request) TurnaroundTime() time.Duration { return max(0, r.FirstByte.Sub(r.BodyRead)) }
