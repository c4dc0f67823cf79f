package eventsapi

import (
	"net/http"
	"strconv"
	"strings"

	"headwater/internal/mediastore"
)

// Bounds of a query.
const (
	maxContainers = 100
	maxPrefix     = 1024 // characters
)

// query is what a client wants to know.
type query struct {
	account    mediastore.AccountID
	containers map[mediastore.ContainerName]bool // empty for all
	prefix     string                            // of an object's path; empty for all, and containers
	resumes    bool                              // after is given
	after      uint64
}

// parse reads the query. Parameters that are not of this edge may be a
// signature's. Last-Event-ID is what a client has heard since it made the URL.
func parse(r *http.Request) (*query, error) {
	q := &query{containers: map[mediastore.ContainerName]bool{}}
	values := r.URL.Query()
	if len(values["container"]) > maxContainers {
		return nil, mediastore.Invalid("container", "must be given at most %d times", maxContainers)
	}
	for _, s := range values["container"] {
		name, err := mediastore.ParseContainerName(s)
		if err != nil {
			return nil, mediastore.Invalid("container", "must be the name of a container")
		}
		q.containers[name] = true
	}
	q.prefix = strings.TrimPrefix(values.Get("prefix"), "/")
	if len(q.prefix) > maxPrefix {
		return nil, mediastore.Invalid("prefix", "must have at most %d characters", maxPrefix)
	}
	field, place := "after", values.Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		field, place = "Last-Event-ID", id
	}
	return q, q.resume(field, place)
}

func (q *query) resume(field, place string) (err error) {
	if place == "" {
		return nil
	}
	q.resumes = true
	if q.after, err = strconv.ParseUint(place, 10, 64); err != nil {
		return mediastore.Invalid(field, "must be the position of an event, a whole number")
	}
	return nil
}

// hasPrefix reports whether a path begins with a prefix. A container's event has
// no path, and only the empty prefix.
func hasPrefix(path mediastore.Path, prefix string) bool {
	return strings.HasPrefix(string(path), prefix)
}
