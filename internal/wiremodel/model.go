// Package wiremodel reads the wire models of both planes, which are data in the
// API-2 format of AWS, and holds requests and responses against them: types,
// required members, lengths, ranges, patterns, enumerations and errors.
//
// It must not know what an operation does, an engine, a connection or a clock.
package wiremodel

import (
	_ "embed" // the models
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

//go:embed models/mediastore.json
var controlPlane string

//go:embed models/mediastore-data.json
var dataPlane string

// Model is one plane's operations, compiled. It is safe for concurrent use.
type Model struct {
	operations map[string]*Operation
}

// Operation is what the model says of one operation. Its fields are for reading.
type Operation struct {
	Name   string
	Method string // of the HTTP request
	URI    string // template of the path: "/", or "/{Path+}"
	Errors []DeclaredError

	input   *shape
	output  *shape
	message *shape // of an error's text
	json    bool   // JSON 1.1, where everything is in the body; else REST-JSON
}

// DeclaredError is an error that an operation may answer beside those that are
// common to all.
type DeclaredError struct {
	Code   string
	Status int // of the HTTP response
}

// ControlPlane returns the model of MediaStore_20170901: 21 operations in JSON
// 1.1. Every call compiles it anew.
func ControlPlane() *Model { return must(controlPlane) }

// DataPlane returns the model of the data plane: 5 operations in REST-JSON.
// Every call compiles it anew.
func DataPlane() *Model { return must(dataPlane) }

// must panics on a broken model: it is part of the program.
func must(source string) *Model {
	m, err := parse(source)
	if err != nil {
		panic("wiremodel: broken embedded model: " + err.Error())
	}
	return m
}

// Operation returns the operation called name, nil when there is none.
func (m *Model) Operation(name string) *Operation { return m.operations[name] }

// Operations returns every operation, sorted by name.
func (m *Model) Operations() []*Operation {
	var all []*Operation
	for _, name := range slices.Sorted(maps.Keys(m.operations)) {
		all = append(all, m.operations[name])
	}
	return all
}

// document is a model as it is written. Only what is used is read; a test knows
// every key that a shape may have.
type document struct {
	Metadata   struct{ Protocol string }
	Operations map[string]operationDefinition
	Shapes     map[string]definition
}

type operationDefinition struct {
	HTTP          struct{ Method, RequestURI string }
	Input, Output ref
	Errors        []ref
}

func parse(source string) (*Model, error) {
	var doc document
	if err := json.Unmarshal([]byte(source), &doc); err != nil {
		return nil, err
	}
	c := &compiler{definitions: doc.Shapes, shapes: map[string]*shape{}}
	m := &Model{operations: map[string]*Operation{}}
	for name, d := range doc.Operations {
		o, err := c.operation(d)
		if err != nil {
			return nil, fmt.Errorf("operation %s: %w", name, err)
		}
		o.Name, o.json = name, doc.Metadata.Protocol == "json"
		m.operations[name] = o
	}
	return m, nil
}

func (c *compiler) operation(d operationDefinition) (*Operation, error) {
	o := &Operation{Method: d.HTTP.Method, URI: d.HTTP.RequestURI}
	for _, part := range []struct {
		to   **shape
		name string
	}{{&o.input, d.Input.Shape}, {&o.output, d.Output.Shape}, {&o.message, "ErrorMessage"}} {
		var err error
		if *part.to, err = c.shape(part.name); err != nil {
			return nil, err
		}
	}
	for _, e := range d.Errors {
		exception, ok := c.definitions[e.Shape]
		if !ok {
			return nil, errUnknownShape(e.Shape)
		}
		o.Errors = append(o.Errors, DeclaredError{e.Shape, exception.status()})
	}
	return o, nil
}

// status is the HTTP status of an error: what the model says, else 500 for the
// server's fault and 400 for the client's.
func (d definition) status() int {
	switch {
	case d.Error.HTTPStatusCode != 0:
		return d.Error.HTTPStatusCode
	case d.Fault:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}
