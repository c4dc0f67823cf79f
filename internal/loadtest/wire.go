package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// client sends requests to the container.
type client struct {
	config   *Config
	recorder *recorder
	http     *http.Client
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	code   string // of the error, as MediaStore names it; may be empty
	reason string
}

func (e *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", e.status, e.code, e.reason))
}

func isRefused(err error) bool {
	var e *refusal
	return errors.As(err, &e)
}

func isNotFound(err error) bool {
	var e *refusal
	return errors.As(err, &e) && e.status == http.StatusNotFound
}

// labelOf returns what errors of one sort have in common.
func labelOf(err error) string {
	var refused *refusal
	var body bodyError
	var network net.Error
	switch {
	case errors.As(err, &refused):
		return strings.TrimSpace(fmt.Sprintf("%d %s", refused.status, refused.code))
	case errors.As(err, &body):
		return body.Error()
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection broken"
	default:
		return "request failed"
	}
}

// printable leaves out what a terminal would obey, and cuts.
func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
	return s[:min(len(s), maxExample)]
}

// putBytes stores a body that is there.
func (c *client) putBytes(ctx context.Context, path, contentType string, body []byte) error {
	return c.put(ctx, 0, path, contentType, int64(len(body)), func() io.Reader { return bytes.NewReader(body) })
}

// put stores what body returns: it is asked again when a connection turns out to
// be closed. A negative size means that it is not known; then the upload can be
// read while it lasts. It may take as long as planned, and the timeout.
func (c *client) put(ctx context.Context, planned time.Duration, path, contentType string, size int64, body func() io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, planned+c.config.Timeout)
	defer cancel()
	r, err := c.request(ctx, http.MethodPut, path, body())
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	r.ContentLength = size
	if size < 0 {
		r.Header.Set("X-Amz-Upload-Availability", "STREAMING")
	} else {
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(body()), nil }
	}
	return c.send(r, drain)
}

// get hands the body of an object to use.
func (c *client) get(ctx context.Context, planned time.Duration, path string, use func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, planned+c.config.Timeout)
	defer cancel()
	r, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return c.send(r, use)
}

// delete deletes an object. That there is none is no error.
func (c *client) delete(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	r, err := c.request(ctx, http.MethodDelete, path, nil)
	if err != nil {
		return err
	}
	if err := c.send(r, drain); !isNotFound(err) {
		return err
	}
	return nil
}

func (c *client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	url := strings.TrimSuffix(c.config.Endpoint, "/") + "/" + path
	return http.NewRequestWithContext(ctx, method, url, body)
}

// send sends a request and hands the answer's body to use when it is a success.
func (c *client) send(r *http.Request, use func(io.Reader) error) error {
	if err := c.config.Authorize(r); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return refused(answer)
	}
	return use(answer.Body)
}

// maxAnswer is how much is read of an answer that nobody looks at: a connection
// can be used again when it was read to the end.
const maxAnswer = 64 << 10

func drain(body io.Reader) error {
	_, err := io.Copy(io.Discard, io.LimitReader(body, maxAnswer))
	return err
}

func refused(answer *http.Response) error {
	reason, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return &refusal{answer.StatusCode, word(answer.Header.Get("X-Amzn-Errortype")), printable(string(reason))}
}

// word returns the letters that s begins with, as many as an error's code has.
func word(s string) string {
	end := strings.IndexFunc(s, func(c rune) bool { return (c|' ' < 'a' || c|' ' > 'z') })
	if end < 0 {
		end = len(s)
	}
	return s[:min(end, 64)]
}
