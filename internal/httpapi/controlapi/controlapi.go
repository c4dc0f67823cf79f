// Package controlapi is the edge of the control plane: the 21 operations of
// MediaStore_20170901 in JSON 1.1.
//
// It owns the codec and the table from error kinds to codes. What an operation
// does lives in the containers service; what a request may look like lives in
// the wire model.
package controlapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"headwater/internal/access"
	"headwater/internal/containers"
	"headwater/internal/event"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
	"headwater/internal/wiremodel"
)

// targetPrefix precedes the operation's name in X-Amz-Target.
const targetPrefix = "MediaStore_20170901."

// maxBody bounds a request: a CORS policy of 398,000 characters is the largest
// document there is, and JSON may escape each of them to six bytes.
const maxBody = 3 << 20

// API is the edge. All fields are required.
type API struct {
	Model      *wiremodel.Model
	Access     *access.Service
	Containers *containers.Service
	// Endpoint returns the address of a container's data plane, for the client
	// that sent r.
	Endpoint func(r *http.Request, client httpapi.Client, id mediastore.ContainerID) string
	// Audit is told of every call, before it is answered.
	Audit func(*event.Call)
}

// call is one request on its way through an operation.
type call struct {
	ctx      context.Context
	api      *API
	account  mediastore.AccountID
	name     mediastore.ContainerName
	in       input
	endpoint func(mediastore.ContainerID) string
}

// Handle answers one request. What became of it is on record before the client
// knows.
func (a *API) Handle(w *httpapi.Response, r *http.Request) error {
	record := a.record(w, r)
	out, err := a.carryOut(w, r, record)
	if err == nil {
		err = conclude(record, out)
	}
	if err != nil {
		answer, message := classify(err, w.ID)
		record.ErrorCode, record.ErrorMessage, record.Result = answer.code, message, nil
	}
	a.Audit(record)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, out)
}

// carryOut decides whether the request may be carried out, and does it.
func (a *API) carryOut(w *httpapi.Response, r *http.Request, record *event.Call) (any, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	caller, err := a.Access.AuthenticateBody(r, sha256.Sum256(body))
	if err != nil {
		return nil, err
	}
	identify(record, caller)
	name, op, run, err := a.operation(r)
	if err != nil {
		return nil, err
	}
	in, unreadable := decode(body)
	if unreadable == nil && !caller.Anonymous() { // nobody in particular cannot fill the record
		record.Parameters = bytes.TrimSpace(body)
	}
	if err := a.Access.AuthorizeControl(caller, "mediastore:"+name); err != nil {
		return nil, err
	}
	if unreadable != nil {
		return nil, unreadable
	}
	if err := op.ValidateInput(map[string]any(in)); err != nil {
		return nil, serialization(err)
	}
	c := &call{ctx: r.Context(), api: a, account: caller.Account, in: in, endpoint: func(id mediastore.ContainerID) string {
		return a.Endpoint(r, w.Client, id)
	}}
	if err := c.bindContainer(); err != nil {
		return nil, err
	}
	return run(c)
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, &mediastore.Error{Op: "controlapi", Kind: mediastore.KindIncompleteBody, Message: "The body ended before it was complete", Err: err}
	}
	if len(body) > maxBody {
		return nil, mediastore.Errorf(mediastore.KindTooLarge, "The request has more than %d bytes", maxBody)
	}
	return body, nil
}

// operation finds the operation that X-Amz-Target names.
func (a *API) operation(r *http.Request) (string, *wiremodel.Operation, func(*call) (any, error), error) {
	target := r.Header.Get("X-Amz-Target")
	name, ok := strings.CutPrefix(target, targetPrefix)
	run, known := operations[name]
	op := a.Model.Operation(name)
	if !ok || !known || op == nil {
		return "", nil, nil, &unknownOperation{target}
	}
	return name, op, run, nil
}

// unknownOperation and serializationError are errors of this wire format alone.
type unknownOperation struct{ target string }

func (e *unknownOperation) Error() string {
	if e.target == "" {
		return "X-Amz-Target is missing: it names the operation, as in " + targetPrefix + "ListContainers"
	}
	return fmt.Sprintf("X-Amz-Target %.100q does not name an operation", e.target)
}

type serializationError struct{ message string }

func (e *serializationError) Error() string { return e.message }

// serialization turns a wrong JSON type into the error for it.
func serialization(err error) error {
	var wrong *wiremodel.TypeError
	if errors.As(err, &wrong) {
		return &serializationError{wrong.Error()}
	}
	return err
}

// input is the decoded request. The wire model has held it against the
// operation's shape, so a member that is present has the right type.
type input map[string]any

func decode(body []byte) (input, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return input{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, &serializationError{"The body is not JSON: " + err.Error()}
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, &serializationError{"The body has more after the JSON object"}
	}
	in, ok := v.(map[string]any)
	if !ok {
		return nil, &serializationError{"The body must be a JSON object"}
	}
	return in, nil
}

func (in input) text(member string) string {
	s, _ := in[member].(string)
	return s
}

// number returns a member, or 0 when it is absent.
func (in input) number(member string) int {
	n, _ := in[member].(json.Number)
	i, _ := n.Int64()
	return int(i)
}

// document returns a structured member in JSON, as it is stored. A member that
// is null is the same as one that is absent, and is left out.
func (in input) document(member string) (string, error) {
	b, err := json.Marshal(withoutNulls(in[member]))
	return string(b), err
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if v[name] = withoutNulls(member); member == nil {
				delete(v, name)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return v
}

func write(w *httpapi.Response, status int, out any) error {
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
