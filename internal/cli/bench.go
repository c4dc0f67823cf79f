package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"headwater/internal/loadtest"
)

func newBench(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench ENDPOINT",
		Short: "Load a container as live channels do, and measure it",
		Long: `Load a container as live channels do: for each rendition of each channel a
publisher stores a segment every segment's duration and overwrites its manifest,
and readers poll the manifest and fetch what is new. All that is read is checked.
What is printed is how long requests took, and what went wrong. Ctrl-C ends the
run early, with a report. The exit code is 1 when there were errors.

ENDPOINT is the container's, as DescribeContainer gives it, of any server that
speaks MediaStore's API. Everything is stored below a folder of its own and
deleted afterwards.

Credentials and the region are found as the AWS CLI finds them: in the
environment, or in the profile of ~/.aws.`,
		Example: `  # Make a container for the test, and delete it afterwards
  headwater bench --create bench http://127.0.0.1:8484

  # One channel of low latency with 50 readers of each rendition, for 10 minutes
  headwater bench --channels 1 --readers 50 --chunked --duration 10m "$ENDPOINT"

  # As fast as it goes, for a script
  headwater bench --speed 0 --json "$ENDPOINT" | jq .verdict`,
		Args:              oneEndpoint,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	b := &benching{Process: p}
	b.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		b.test.Endpoint = args[0]
		if err := b.check(); err != nil {
			return usagef(cmd, "%s", err)
		}
		return b.run(cmd.Context())
	}
	return cmd
}

func oneEndpoint(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef(cmd, "bench needs one endpoint, such as http://127.0.0.1:8484/abcdefghijklmn")
	}
	return nil
}

// benching is a load test under way.
type benching struct {
	Process
	test      loadtest.Config
	basic     bool
	anonymous bool
	create    string // name of the container to make; empty for none
	asJSON    bool
}

func (b *benching) addFlags(cmd *cobra.Command) {
	f, c := cmd.Flags(), &b.test
	f.SortFlags = false
	f.IntVar(&c.Channels, "channels", 4, "`NUMBER` of channels")
	f.IntVar(&c.Renditions, "renditions", 5, "`NUMBER` of renditions of each channel")
	f.IntVar(&c.Readers, "readers", 10, "`NUMBER` of readers of each rendition")
	f.DurationVar(&c.Segment, "segment-duration", 2*time.Second, "`DURATION` of a segment")
	f.Int64Var(&c.SegmentSize, "segment-size", 0, "`BYTES` of a segment, 0 for those of bit rates from 7.8 Mbit/s down")
	f.BoolVar(&c.Chunked, "chunked", false, "upload segments while they last; readers follow the upload")
	f.DurationVar(&c.Part, "part-duration", 200*time.Millisecond, "`DURATION` of a chunk, with --chunked")
	f.IntVar(&c.Window, "window", 6, "`NUMBER` of segments in a manifest")
	f.BoolVar(&c.KeepOld, "keep", false, "do not delete segments: a lifecycle rule does")
	f.StringVar(&c.Folder, "folder", "bench", "`FOLDER` that the run makes its own in")
	f.DurationVar(&c.Duration, "duration", time.Minute, "`DURATION` of the run")
	f.Float64Var(&c.Speed, "speed", 1, "`FACTOR` by which time is faster, 0 for no waiting at all")
	f.DurationVar(&c.Timeout, "timeout", 10*time.Second, "`DURATION` after which a request has failed")
	f.StringVar(&b.create, "create", "", "`NAME` of a container to make and to delete; ENDPOINT is then the server's")
	f.BoolVar(&b.basic, "basic", false, "send the access key by HTTP Basic instead of signing")
	f.BoolVar(&b.anonymous, "anonymous", false, "send no credentials")
	f.BoolVar(&b.asJSON, "json", false, "print the report as JSON, and no progress")
}

const maxReaders = 100_000 // of all renditions together

func (b *benching) check() error {
	c := &b.test
	if u, err := url.Parse(c.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return errors.New("the endpoint must be an http or https URL, such as http://127.0.0.1:8484/abcdefghijklmn")
	}
	for _, err := range []error{
		between("channels", c.Channels, 1, 1000),
		between("renditions", c.Renditions, 1, 100),
		between("readers", c.Readers, 0, maxReaders),
		between("segment-duration", c.Segment, 10*time.Millisecond, time.Minute),
		between("part-duration", c.Part, time.Millisecond, time.Minute),
		between("segment-size", c.SegmentSize, 0, 1e9),
		between("window", c.Window, 1, 1000),
		between("duration", c.Duration, 10*time.Millisecond, 1000*time.Hour),
		between("timeout", c.Timeout, 10*time.Millisecond, time.Hour),
		between("speed", c.Speed, 0, 1000),
	} {
		if err != nil {
			return err
		}
	}
	if all := c.Channels * c.Renditions * (c.Readers + 1); all > maxReaders {
		return fmt.Errorf("--channels, --renditions and --readers come to %d clients: at most %d are possible", all, maxReaders)
	}
	return b.checkTogether()
}

func between[T cmp.Ordered](flag string, is, least, top T) error {
	if is >= least && is <= top { // not a number is neither
		return nil
	}
	return fmt.Errorf("--%s must be from %v to %v", flag, least, top)
}

// checkTogether checks what depends on more than one flag.
func (b *benching) checkTogether() error {
	switch {
	case b.basic && b.anonymous:
		return errors.New("--basic and --anonymous exclude each other")
	case b.create != "" && b.anonymous:
		return errors.New("--create needs credentials, and --anonymous sends none")
	}
	return nil
}

// run runs the test, in a container of its own when one is to be made.
func (b *benching) run(ctx context.Context) error {
	var credentials aws.CredentialsProvider
	region := defaultRegion
	if !b.anonymous {
		found, err := awsconfig.LoadDefaultConfig(ctx)
		if err != nil {
			return fmt.Errorf("load the AWS configuration: %w", err)
		}
		if _, err := found.Credentials.Retrieve(ctx); err != nil {
			return fmt.Errorf("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, or give --anonymous (%w)", err)
		}
		credentials = found.Credentials
		if found.Region != "" {
			region = found.Region
		}
	}
	b.test.Authorize = b.authorizer(credentials, region)
	if b.create == "" {
		return b.load(ctx)
	}
	return b.inContainer(ctx)
}

// authorizer returns what adds credentials to a request.
func (b *benching) authorizer(credentials aws.CredentialsProvider, region string) func(*http.Request) error {
	signer := v4.NewSigner()
	return func(r *http.Request) error {
		if b.anonymous {
			return nil
		}
		key, err := credentials.Retrieve(r.Context())
		if err != nil {
			return err
		}
		if b.basic {
			r.SetBasicAuth(key.AccessKeyID, key.SecretAccessKey)
			return nil
		}
		hash, err := payloadHash(r)
		if err != nil {
			return err
		}
		return signer.SignHTTP(r.Context(), key, r, hash, "mediastore", region, time.Now())
	}
}

// payloadHash returns what a request's signature says of its body. An object's is
// not signed, as by most clients: what is streamed has no digest before it is sent.
func payloadHash(r *http.Request) (string, error) {
	if r.Method != http.MethodPost {
		const unsigned = "UNSIGNED-PAYLOAD"
		r.Header.Set("X-Amz-Content-Sha256", unsigned)
		return unsigned, nil
	}
	body, err := r.GetBody()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, body)
	return hex.EncodeToString(hash.Sum(nil)), err
}

// authorizing sends requests with the test's credentials, in the test's form,
// instead of their own.
type authorizing func(*http.Request) error

func (a authorizing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	if err := a(r); err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(r)
}

// inContainer makes a container, runs the test there, and deletes it.
func (b *benching) inContainer(ctx context.Context) (err error) {
	control := &controlClient{url: b.test.Endpoint, http: &http.Client{
		Transport: authorizing(b.test.Authorize), Timeout: b.test.Timeout,
	}}
	named := map[string]any{"ContainerName": b.create}
	if err := control.call(ctx, "CreateContainer", named, nil); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, control.call(context.WithoutCancel(ctx), "DeleteContainer", named, nil))
	}()
	made, err := control.waitActive(ctx, b.create)
	if err != nil {
		return err
	}
	b.test.Endpoint = made.Endpoint
	return b.load(ctx)
}

// load runs the test, shows how it goes, and reports.
func (b *benching) load(ctx context.Context) error {
	clients := b.test.Channels * b.test.Renditions * (b.test.Readers + 2)
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: clients,
		IdleConnTimeout: 2 * time.Minute, DisableCompression: true,
		Protocols: new(http.Protocols), // each client has a connection of its own, as in life
	}
	transport.Protocols.SetHTTP1(true)
	defer transport.CloseIdleConnections()
	b.test.Transport, b.test.Now, b.test.Seed = transport, time.Now, rand.Uint64()
	b.test.Folder = strings.Trim(b.test.Folder, "/") + fmt.Sprintf("/%s-%04x", time.Now().UTC().Format("20060102-150405"), b.test.Seed>>48)
	test := loadtest.New(b.test)
	stop := b.showProgress(test)
	report := test.Run(ctx)
	stop()
	if err := b.print(report); err != nil {
		return err
	}
	if report.Verdict == loadtest.Failed {
		return errors.New("the test failed")
	}
	return nil
}

func (b *benching) print(report *loadtest.Report) error {
	if !b.asJSON {
		return report.WriteText(b.Stdout)
	}
	out := json.NewEncoder(b.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(report)
}

// showProgress shows how the test goes until stop is called: on a terminal in a
// line that is overwritten each second, elsewhere in a new line each ten.
func (b *benching) showProgress(test *loadtest.Test) (stop func()) {
	if b.asJSON {
		return func() {}
	}
	every, before, after := 10*time.Second, "", "\n"
	if b.isTerminal() {
		every, before, after = time.Second, "\r\x1b[K", ""
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				fmt.Fprintf(b.Stderr, "%s", before)
				return
			case <-tick.C:
				fmt.Fprintf(b.Stderr, "%s%s%s", before, test.Progress(), after)
			}
		}
	}()
	return func() { close(ended); <-done }
}

// isTerminal reports whether progress goes to a terminal. That it should have no
// colours is no reason against.
func (b *benching) isTerminal() bool {
	return isTerminal(b.Stderr, slices.DeleteFunc(slices.Clone(b.Env), func(entry string) bool {
		return strings.HasPrefix(entry, "NO_COLOR=")
	}))
}
