package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// controlClient calls the control plane, as any client would.
type controlClient struct {
	url, id, secret string
	http            *http.Client
}

// madeContainer is what the demo needs to know of its container.
type madeContainer struct{ ARN, Endpoint, Status string }

// publicContainer makes a container that anyone, and any page, may read. One
// that is there already is taken.
func (c *controlClient) publicContainer(ctx context.Context, name string) (madeContainer, error) {
	named := map[string]any{"ContainerName": name}
	err := c.call(ctx, "CreateContainer", named, nil)
	if apiErr := (*apiError)(nil); err != nil && !(errors.As(err, &apiErr) && apiErr.Code == "ContainerInUseException") {
		return madeContainer{}, err
	}
	made, err := c.waitActive(ctx, name)
	if err != nil {
		return made, err
	}
	policy, err := json.Marshal(publicRead(made.ARN))
	if err != nil {
		return made, err
	}
	put := map[string]any{"ContainerName": name, "Policy": string(policy)}
	if err := c.call(ctx, "PutContainerPolicy", put, nil); err != nil {
		return made, err
	}
	cors := map[string]any{"ContainerName": name, "CorsPolicy": anyOrigin()}
	return made, c.call(ctx, "PutCorsPolicy", cors, nil)
}

// waitActive waits until the container has an endpoint. There is little to wait
// for: a client's own deadline ends it should there be more.
func (c *controlClient) waitActive(ctx context.Context, name string) (madeContainer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var out struct{ Container madeContainer }
		err := c.call(ctx, "DescribeContainer", map[string]any{"ContainerName": name}, &out)
		if err != nil || out.Container.Status == "ACTIVE" {
			return out.Container, err
		}
		select {
		case <-ctx.Done():
			return out.Container, fmt.Errorf("it is still %s: %w", out.Container.Status, ctx.Err())
		case <-tick.C:
		}
	}
}

// publicRead is a container policy that lets anyone read every object, without
// TLS too.
func publicRead(arn string) any {
	return map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Sid":       "PublicRead",
			"Effect":    "Allow",
			"Principal": "*",
			"Action":    []string{"mediastore:GetObject", "mediastore:DescribeObject"},
			"Resource":  arn + "/*",
		}},
	}
}

// anyOrigin are CORS rules that let players on every page in.
func anyOrigin() any {
	return []any{map[string]any{
		"AllowedOrigins": []string{"*"},
		"AllowedHeaders": []string{"*"},
		"AllowedMethods": []string{"GET", "HEAD"},
		"ExposeHeaders":  []string{"ETag", "Content-Range"},
		"MaxAgeSeconds":  3000,
	}}
}

// apiError is an error that the server answered.
type apiError struct {
	Code    string `json:"__type"`
	Message string
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// call carries one operation out. The answer is left unread when out is nil.
func (c *controlClient) call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "MediaStore_20170901."+operation)
	req.SetBasicAuth(c.id, c.secret)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	return decodeAnswer(operation, resp, answer, out)
}

func decodeAnswer(operation string, resp *http.Response, answer []byte, out any) error {
	if resp.StatusCode != http.StatusOK {
		apiErr := &apiError{Code: resp.Status}
		if json.Unmarshal(answer, apiErr) != nil {
			apiErr.Message = "the answer is not of this API"
		}
		return fmt.Errorf("%s: %w", operation, apiErr)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
