package wiremodel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// CheckOutput holds a response that reports success against the operation's
// output: every member declared, where the model locates it, of the right type
// and within its constraints, and all required ones there. The bytes of an
// object are not looked at. It is for tests: its errors are for developers.
func (o *Operation) CheckOutput(status int, header http.Header, body []byte) error {
	if err := o.checkOutput(status, header, body); err != nil {
		return fmt.Errorf("%s: response %d: %w", o.Name, status, err)
	}
	return nil
}

func (o *Operation) checkOutput(status int, header http.Header, body []byte) error {
	if status < 200 || status > 299 {
		return errors.New("the status does not report success")
	}
	values, err := o.bodyMembers(body)
	if err != nil {
		return err
	}
	for i := range o.output.members {
		m := &o.output.members[i]
		v, err := m.outsideBody(status, header)
		if err != nil {
			return err
		}
		if v != nil {
			values[m.name] = v
		}
	}
	c := checker{response: true}
	c.structure(nil, o.output, values)
	return c.err()
}

// bodyMembers returns the members that the body holds. JSON 1.1 always has an
// object there, REST-JSON when a member is located in it.
func (o *Operation) bodyMembers(body []byte) (map[string]any, error) {
	empty := len(body) == 0
	switch {
	case o.output.has(wholePayload):
		return map[string]any{}, nil
	case o.Method == http.MethodHead && !empty:
		return nil, errHeadBody
	case empty && !o.json && !o.output.has(inBody):
		return map[string]any{}, nil
	}
	values, err := decodeObject(body)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if m := o.output.member(name); m == nil || m.location != inBody {
			return nil, fmt.Errorf("the model has no member %q in the body", name)
		}
	}
	return values, nil
}

var errHeadBody = errors.New("the answer to HEAD has a body")

// decodeObject reads a body that is one JSON object and nothing else.
func decodeObject(body []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, fmt.Errorf("the body is not a JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("the body is null and not a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("the body has more after its JSON object")
	}
	return object, nil
}

// outsideBody returns a member that is located in the status line or a header,
// as JSON would have it; nil when it is absent or is in the body.
func (m *member) outsideBody(status int, header http.Header) (any, error) {
	switch m.location {
	case inStatus:
		return json.Number(strconv.Itoa(status)), nil
	case inHeader:
		text, present, err := single(header, m.header)
		if !present || err != nil {
			return nil, err
		}
		return m.fromHeader(text)
	}
	return nil, nil
}

// fromHeader reads a header's value. Timestamps are HTTP dates there (RFC 9110,
// section 5.6.7).
func (m *member) fromHeader(text string) (any, error) {
	switch m.shape.kind {
	case kindTimestamp:
		t, err := http.ParseTime(text)
		if err != nil || t.UTC().Format(http.TimeFormat) != text {
			return nil, fmt.Errorf("%s: %q is not an HTTP date", m.header, text)
		}
		return json.Number(strconv.FormatInt(t.Unix(), 10)), nil
	case kindInteger, kindLong:
		return json.Number(text), nil
	}
	return text, nil
}

// single returns the value of a header that may be there once. Names have no
// case, and a recorded response may hold them in the spelling of the wire.
func single(header http.Header, name string) (value string, present bool, err error) {
	var values []string
	for key, v := range header {
		if strings.EqualFold(key, name) {
			values = append(values, v...)
		}
	}
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", true, fmt.Errorf("%s is there %d times", name, len(values))
}

// errorHeader carries the code of an error.
const errorHeader = "x-amzn-ErrorType"

// codeMembers are where a body may repeat it: the protocols know both.
var codeMembers = []string{"__type", "code"}

// CheckError holds a response that reports an error against the model. The code
// has to be in the header and, unless the request was a HEAD, in the body, and
// to be one that the operation declares, with the declared status, or one that
// common holds. The body has nothing else but Message, 1 to 255 characters. It
// is for tests: its errors are for developers.
func (o *Operation) CheckError(status int, header http.Header, body []byte, common map[string]bool) error {
	if err := o.checkError(status, header, body, common); err != nil {
		return fmt.Errorf("%s: error response %d: %w", o.Name, status, err)
	}
	return nil
}

func (o *Operation) checkError(status int, header http.Header, body []byte, common map[string]bool) error {
	code, present, err := single(header, errorHeader)
	if err != nil {
		return err
	}
	if !present {
		return fmt.Errorf("%s is missing", errorHeader)
	}
	if err := o.checkStatus(code, status, common); err != nil {
		return err
	}
	if o.Method != http.MethodHead {
		return o.checkErrorBody(code, body)
	}
	if len(body) > 0 {
		return errHeadBody
	}
	return nil
}

func (o *Operation) checkStatus(code string, status int, common map[string]bool) error {
	i := slices.IndexFunc(o.Errors, func(e DeclaredError) bool { return e.Code == code })
	switch {
	case i >= 0 && o.Errors[i].Status != status:
		return fmt.Errorf("%s has the status %d", code, o.Errors[i].Status)
	case i < 0 && !common[code]:
		return fmt.Errorf("%q is neither declared nor common", code)
	case status < 400 || status > 599:
		return errors.New("the status does not report an error")
	}
	return nil
}

func (o *Operation) checkErrorBody(code string, body []byte) error {
	values, err := decodeObject(body)
	if err != nil {
		return err
	}
	found := false
	for _, name := range codeMembers {
		v, present := values[name]
		if present && v != code {
			return fmt.Errorf("%s is %v, and %s is %s", name, v, errorHeader, code)
		}
		found = found || present
		delete(values, name)
	}
	if !found {
		return fmt.Errorf("the body has no %s", codeMembers[0])
	}
	c := checker{response: true}
	c.structure(nil, o.errorShape(), values)
	return c.err()
}

// errorShape is what every error is besides its code.
func (o *Operation) errorShape() *shape {
	return &shape{kind: kindStructure, members: []member{{name: "Message", required: true, shape: o.message}}}
}
