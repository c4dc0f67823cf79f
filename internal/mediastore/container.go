package mediastore

import (
	"slices"
	"time"
)

// Status is where a container is in its life.
type Status string

// The life of a container. Policies can be read and written, and objects
// stored, only while it is ACTIVE.
const (
	StatusCreating Status = "CREATING"
	StatusActive   Status = "ACTIVE"
	StatusDeleting Status = "DELETING"
)

// Container is everything the control plane knows of one container. The
// documents are kept as they were put, byte for byte; an empty one is absent.
type Container struct {
	Account       AccountID
	Region        string
	Name          ContainerName
	ID            ContainerID
	Status        Status
	CreatedAt     time.Time
	AccessLogging bool

	Policy    string // container policy, IAM language
	Cors      string // CORS rules, JSON
	Lifecycle string // object lifecycle policy, JSON
	Metric    string // metric policy, JSON

	Tags []Tag // sorted by key, each key once
}

// Tag is a label on a container. The value may be empty.
type Tag struct{ Key, Value string }

// ARN returns the container's Amazon Resource Name.
func (c *Container) ARN() string {
	return "arn:aws:mediastore:" + c.Region + ":" + string(c.Account) + ":container/" + string(c.Name)
}

// Clone returns a copy that shares no memory with c.
func (c *Container) Clone() Container {
	clone := *c
	clone.Tags = slices.Clone(c.Tags)
	return clone
}
