// Package dataapi is the edge of the data plane: PutObject, GetObject,
// DescribeObject, DeleteObject and ListItems as REST-JSON, and CORS.
//
// It owns the codec, the headers of HTTP (ranges, conditions, digests) and the
// table from error kinds to statuses. What an operation does lives in the
// objects service, who may do it in the access service.
package dataapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"headwater/internal/access"
	"headwater/internal/containers"
	"headwater/internal/event"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
	"headwater/internal/objects"
)

// API is the edge. All fields are required.
type API struct {
	Access     *access.Service
	Containers *containers.Service
	Objects    *objects.Service
	Timeouts   Timeouts
	Now        func() time.Time
	// Answered is told of every request to a container that exists.
	Answered func(*event.Request)
}

// Timeouts bound how long a client may take. Zero is no bound.
type Timeouts struct {
	UploadIdle time.Duration // between two reads of an upload's body
	Upload     time.Duration // for the whole body of an upload
}

// call is one request on its way through an operation.
type call struct {
	api       *API
	w         *httpapi.Response
	r         *http.Request
	container *containers.Snapshot
	path      string         // as sent, below the container, without the URL's own slash
	fact      *event.Request // what will be told of it; listeners keep it longer than the call
}

// Handle returns the handler of a request to a container. path is what follows
// the container in the URL, percent-decoded; it begins with a slash.
func (a *API) Handle(id mediastore.ContainerID, path string) httpapi.Handler {
	return func(w *httpapi.Response, r *http.Request) error {
		if changes(r.Method) {
			r = r.WithContext(context.WithoutCancel(r.Context()))
		}
		container, err := a.Containers.Snapshot(r.Context(), id)
		if err != nil {
			return err
		}
		c := &call{api: a, w: w, r: r, container: container, path: strings.TrimPrefix(path, "/"), fact: &event.Request{}}
		w.Answered = c.answered
		if r.Method == http.MethodOptions {
			return c.options()
		}
		c.allowOrigin()
		return c.run()
	}
}

// changes reports whether a request changes something. One that arrived whole is
// carried out, also when its sender does not wait for the answer: ffmpeg's HLS
// muxer sends its last requests one behind the other and hangs up, which ends the
// context of those that are still to come. A sender that breaks off earlier shows
// in the body.
func changes(method string) bool {
	return method == http.MethodPut || method == http.MethodPost || method == http.MethodDelete
}

func (c *call) run() error {
	c.fact.Operation = operation(c.r.Method, c.path)
	switch c.fact.Operation {
	case event.ListItems:
		return c.listItems()
	case event.GetObject:
		return c.getObject()
	case event.DescribeObject:
		return c.describeObject()
	case event.PutObject:
		return c.putObject()
	case event.DeleteObject:
		return c.deleteObject()
	default:
		c.w.Header().Set("Allow", allowedMethods)
		return mediastore.Errorf(mediastore.KindMethodNotAllowed, "The method %.20s is not one of %s", c.r.Method, allowedMethods)
	}
}

// operation returns the operation that a method on a path is, empty for none.
func operation(method, path string) event.Operation {
	switch method {
	case http.MethodGet:
		if path == "" {
			return event.ListItems
		}
		return event.GetObject
	case http.MethodHead:
		return event.DescribeObject
	case http.MethodPut, http.MethodPost:
		return event.PutObject
	case http.MethodDelete:
		return event.DeleteObject
	default:
		return ""
	}
}

const allowedMethods = "DELETE, GET, HEAD, OPTIONS, POST, PUT"

// authorize finds out who is calling and whether they may do this to name, which
// is an object's path or a folder's.
func (c *call) authorize(action, name string) (*access.Caller, error) {
	authenticate := c.api.Access.Authenticate
	if c.fact.Operation == event.PutObject {
		authenticate = c.api.Access.AuthenticateUpload
	}
	caller, err := authenticate(c.r)
	if err != nil {
		return nil, err
	}
	if !caller.Anonymous() && !caller.Unverified() {
		c.fact.Requester = caller.Principal.ARN
	}
	env := access.Env{
		SourceIP:  c.w.Client.IP,
		Secure:    c.w.Client.Secure,
		Referer:   c.r.Header.Get("Referer"),
		UserAgent: c.r.Header.Get("User-Agent"),
	}
	err = c.api.Access.AuthorizeData(caller, action, c.container.ARN+"/"+name, c.container.Policy, env)
	if err != nil && caller.Anonymous() && c.r.Header.Get("Expect") != "" {
		c.challenge()
	}
	return caller, err
}

// challenge offers HTTP Basic to a client that asks before it sends its body
// (RFC 9110, section 10.1.1). Encoders with a user and password in their URL send
// neither until they are asked to.
func (c *call) challenge() {
	c.w.Header().Set("WWW-Authenticate", httpapi.BasicChallenge)
}

// objectPath reads the path of an object.
func (c *call) objectPath() (mediastore.Path, error) {
	return mediastore.ParsePath(c.path, c.api.Objects.Quotas().Path)
}

func (c *call) deleteObject() error {
	path, err := c.objectPath()
	if err != nil {
		return err
	}
	if _, err := c.authorize("mediastore:DeleteObject", string(path)); err != nil {
		return err
	}
	pre, err := parsePrecondition(c.r.Header)
	if err != nil {
		return err
	}
	if err := c.discardBody(); err != nil {
		return err
	}
	gone, err := c.api.Objects.Delete(c.r.Context(), c.container.ID, path, pre)
	if err != nil {
		return err
	}
	c.fact.ExpiresAt = gone.ExpiresAt
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// maxDiscard is how many bytes of a body that means nothing are read.
const maxDiscard = 64 << 10

// discardBody reads the body of a DELETE, which means nothing (RFC 9110, section
// 9.3.5). ffmpeg announces one, with Expect: 100-continue, and takes an answer
// that comes before its end for a broken connection (section 10.1.1).
func (c *call) discardBody() error {
	if c.r.ContentLength == 0 {
		return nil
	}
	body := c.timedBody()
	defer body.end()
	if _, err := io.CopyN(io.Discard, body, maxDiscard); err != nil && !errors.Is(err, io.EOF) {
		return mediastore.Errorf(mediastore.KindIncompleteBody, "The body ended before it was complete")
	}
	return nil
}

func writeJSON(w *httpapi.Response, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
