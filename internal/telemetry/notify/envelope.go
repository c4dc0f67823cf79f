package notify

import (
	"time"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// Source is where events come from, in their envelope.
const Source = "aws.mediastore"

// The types of events, in their envelope.
const (
	ObjectStateChange    = "MediaStore Object State Change"
	ContainerStateChange = "MediaStore Container State Change"
)

// Envelope is an event as Amazon EventBridge hands it to its targets.
type Envelope struct {
	Version    string               `json:"version"`
	ID         string               `json:"id"`
	DetailType string               `json:"detail-type"`
	Source     string               `json:"source"`
	Account    mediastore.AccountID `json:"account"`
	Time       string               `json:"time"` // RFC 3339, in whole seconds, UTC
	Region     string               `json:"region"`
	Resources  []string             `json:"resources"` // one ARN
	Detail     Detail               `json:"detail"`
}

// Detail is what has changed, and how.
type Detail struct {
	ContainerName mediastore.ContainerName
	Operation     string          // UPDATE or REMOVE of an object, CREATE or REMOVE of a container
	Path          mediastore.Path `json:",omitempty"`
	ObjectSize    *int64          `json:",omitempty"` // bytes; of an UPDATE
	URL           string          `json:",omitempty"` // of the object
	Endpoint      string          `json:",omitempty"` // of a container that was created
}

// Renderer puts events into their envelopes.
type Renderer struct {
	Region string
	// Endpoint returns the base URL of a container's data plane, without a slash
	// at its end.
	Endpoint func(mediastore.ContainerID) string
}

// Envelope returns the envelope of an event.
func (r *Renderer) Envelope(e *event.Event) Envelope {
	detailType := ObjectStateChange
	if !ofObject(e) {
		detailType = ContainerStateChange
	}
	return Envelope{
		Version:    "1",
		ID:         e.ID(),
		DetailType: detailType,
		Source:     Source,
		Account:    e.Account,
		Time:       e.Time.UTC().Format(time.RFC3339),
		Region:     r.Region,
		Resources:  []string{r.resource(e)},
		Detail:     r.detail(e),
	}
}

func ofObject(e *event.Event) bool {
	return e.Kind == event.ObjectUpdated || e.Kind == event.ObjectRemoved
}

func (r *Renderer) detail(e *event.Event) Detail {
	d := Detail{ContainerName: e.Container, Operation: "REMOVE", Path: e.Path}
	switch e.Kind {
	case event.ObjectUpdated:
		size := e.Size
		d.Operation, d.ObjectSize = "UPDATE", &size
	case event.ContainerCreated:
		d.Operation, d.Endpoint = "CREATE", r.Endpoint(e.ContainerID)
	}
	if ofObject(e) {
		d.URL = r.Endpoint(e.ContainerID) + "/" + string(e.Path)
	}
	return d
}

// container returns the ARN of the event's container.
func (r *Renderer) container(e *event.Event) string {
	c := mediastore.Container{Account: e.Account, Region: r.Region, Name: e.Container}
	return c.ARN()
}

// resource returns the ARN of what has changed. That of an object is that of its
// container and the path, as in policies.
func (r *Renderer) resource(e *event.Event) string {
	if !ofObject(e) {
		return r.container(e)
	}
	return r.container(e) + "/" + string(e.Path)
}
