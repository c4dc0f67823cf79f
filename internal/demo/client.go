package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// requestTimeout bounds one request: what takes longer than a segment lasts is
// better tried again.
const requestTimeout = 10 * time.Second

// maxReason is how many bytes of an error's answer are worth a log line.
const maxReason = 300

// Client stores files in a container as an encoder does that cannot sign: by
// plain requests with HTTP Basic (RFC 7617).
type Client struct {
	Endpoint  string // the container's address, "http://host:port/<id>"
	AccessKey string
	Secret    string
	HTTP      *http.Client
}

// Put implements Store.
func (c *Client) Put(ctx context.Context, path string, f File) error {
	header := http.Header{"Content-Type": {f.ContentType}, "Cache-Control": {f.CacheControl}}
	return c.do(ctx, http.MethodPut, path, header, f.Body)
}

// Delete implements Store.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.do(ctx, http.MethodDelete, path, http.Header{}, nil)
}

func (c *Client) do(ctx context.Context, method, path string, header http.Header, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	url := strings.TrimSuffix(c.Endpoint, "/") + "/" + path
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = header
	req.SetBasicAuth(c.AccessKey, c.Secret)
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return verdict(req, resp)
}

// verdict reads the answer to the end, so that the connection can be used again,
// and returns an error unless it is a success. What was to be deleted and is not
// there is one.
func verdict(req *http.Request, resp *http.Response) error {
	reason, err := io.ReadAll(io.LimitReader(resp.Body, maxReason))
	if err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL, err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL, err)
	}
	gone := req.Method == http.MethodDelete && resp.StatusCode == http.StatusNotFound
	if resp.StatusCode/100 == 2 || gone {
		return nil
	}
	return fmt.Errorf("%s %s: %s: %s", req.Method, req.URL, resp.Status, strings.TrimSpace(string(reason)))
}
