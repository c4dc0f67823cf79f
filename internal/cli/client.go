package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/pflag"
)

const (
	defaultRegion = "us-east-1" // when none is configured, as a server has it
	maxRefusal    = 4 << 10     // bytes of an error that are read
)

// client asks a running server for what lies below /-/, with requests that are
// signed as the AWS CLI signs them, and with the credentials that it would find.
type client struct {
	http     http.Client
	aws      aws.Config
	endpoint string
}

func (c *client) addEndpoint(f *pflag.FlagSet) {
	f.StringVar(&c.endpoint, "endpoint", "http://127.0.0.1:8484", "`URL` of the server")
}

func (c *client) checkEndpoint() error {
	if u, err := url.Parse(c.endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("--endpoint must be an http or https URL, such as http://127.0.0.1:8484")
	}
	return nil
}

// load finds the credentials and the region.
func (c *client) load(ctx context.Context) (err error) {
	if c.aws, err = awsconfig.LoadDefaultConfig(ctx); err != nil {
		return fmt.Errorf("load the AWS configuration: %w", err)
	}
	return nil
}

// newRequest makes a request without a body that is yet to be signed.
func (c *client) newRequest(ctx context.Context, method, target string) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.endpoint, "/")+target, nil)
}

func (c *client) sign(r *http.Request) error {
	credentials, err := c.aws.Credentials.Retrieve(r.Context())
	if err != nil {
		return fmt.Errorf("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile (%w)", err)
	}
	region := c.aws.Region
	if region == "" {
		region = defaultRegion
	}
	empty := sha256.Sum256(nil)
	return v4.NewSigner().SignHTTP(r.Context(), credentials, r, hex.EncodeToString(empty[:]), "mediastore", region, time.Now())
}

// do sends a signed request. An answer that is no success is a refusal.
func (c *client) do(r *http.Request) (*http.Response, error) {
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	return nil, &refusal{answer.StatusCode, answer.Status + ": " + printable(strings.TrimSpace(string(text)))}
}

// ask does all of it for a request that has nothing special.
func (c *client) ask(ctx context.Context, method, target string) (*http.Response, error) {
	r, err := c.newRequest(ctx, method, target)
	if err != nil {
		return nil, err
	}
	if err := c.sign(r); err != nil {
		return nil, err
	}
	return c.do(r)
}

// refusal is an answer that is not what was asked for.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

// withoutURL leaves out of a connection's error what the user has typed.
func withoutURL(err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		return inURL.Err
	}
	return err
}

// printable leaves out what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return -1
		}
		return c
	}, s)
}
