package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/service/mediastoredata"
)

// verb runs the program to its end and returns what it wrote and its exit code.
func verb(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // ends a verb that hangs
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(cleanEnv(), env...), &out, &errs
	_ = cmd.Run() // the code says it
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

var (
	listedVerb  = regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z]`)
	exampleFlag = regexp.MustCompile(`--[a-z0-9-]+`)
)

// TestHelp walks through all verbs.
func TestHelp(t *testing.T) {
	seen := 0
	var walk func(path ...string)
	walk = func(path ...string) {
		help, stderr, code := verb(t, nil, append(path, "--help")...)
		if code != 0 || stderr != "" {
			t.Errorf("%q --help: exit code %d, %s", path, code, stderr)
		}
		seen++
		checkExamples(t, path, help)
		_, commands, _ := strings.Cut(help, "Available Commands:")
		commands, _, _ = strings.Cut(commands, "Flags:")
		for _, m := range listedVerb.FindAllStringSubmatch(commands, -1) {
			if m[1] != "help" { // cobra's own
				walk(append(slices.Clone(path), m[1])...)
			}
		}
	}
	walk()
	if seen < 7 {
		t.Errorf("only %d verbs were found", seen)
	}
}

// checkExamples fails unless there are examples, with flags that the verb has.
func checkExamples(t *testing.T, path []string, help string) {
	t.Helper()
	_, examples, _ := strings.Cut(help, "Examples:\n")
	examples, _, _ = strings.Cut(examples, "\n\n"+"Available")
	examples, _, _ = strings.Cut(examples, "\n\nFlags:")
	command := strings.Join(append([]string{"headwater"}, path...), " ")
	if !strings.Contains(examples, command) {
		t.Errorf("the help of %s has no example of it", command)
	}
	_, flags, _ := strings.Cut(help, "Flags:\n")
	for line := range strings.SplitSeq(examples, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), command+" -") {
			continue
		}
		for _, flag := range exampleFlag.FindAllString(line, -1) {
			if !strings.Contains(flags, flag+" ") {
				t.Errorf("%s: the example %q has a flag that there is not: %s", command, line, flag)
			}
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "fish", "powershell", "zsh"} {
		script, stderr, code := verb(t, nil, "completion", shell)
		if code != 0 || stderr != "" || !strings.Contains(script, "headwater") {
			t.Errorf("completion %s: exit code %d, %s", shell, code, stderr)
		}
		if shell == "bash" {
			check := exec.Command("bash", "-n")
			check.Stdin = strings.NewReader(script)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("bash -n: %v\n%s", err, out)
			}
		}
	}
	for line, want := range map[string]string{"serve --engine ": "logstore", "serve --log-level w": "warn", "completion ": "zsh", "se": "serve"} {
		args := append([]string{"__complete"}, strings.Split(line, " ")...)
		if out, _, code := verb(t, nil, args...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%q is completed by %q, exit code %d; want %s", line, out, code, want)
		}
	}
}

func TestVersion(t *testing.T) {
	line, _, code := verb(t, nil, "version")
	if !regexp.MustCompile(`^headwater \S+ .*go1\.\S+ \w+/\w+\n$`).MatchString(line) || code != 0 {
		t.Errorf("version: %q, exit code %d", line, code)
	}
	var v struct{ Version, Go, Platform string }
	out, _, _ := verb(t, nil, "version", "--json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Version == "" || !strings.Contains(line, v.Go) || !strings.Contains(line, v.Platform) {
		t.Errorf("version --json: %s, %v", out, err)
	}
	if out, _, code := verb(t, nil, "--version"); code != 0 || out != "headwater "+v.Version+"\n" {
		t.Errorf("--version: %q, exit code %d", out, code)
	}
}

// inFile writes a file of its own for a test and returns its name.
func inFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestPrecedence: a flag wins over the environment, that over the file, and that
// over the default.
func TestPrecedence(t *testing.T) {
	file := inFile(t, "headwater.yaml", "region: eu-west-1\naccount: \"123456789012\"\nlog-level: warn\n")
	env := []string{"HEADWATER_CONFIG=" + file, "HEADWATER_REGION=eu-west-2", "HEADWATER_ACCOUNT=210987654321", "HEADWATER_DRAIN_TIMEOUT="}
	out, stderr, code := verb(t, env, "config", "print", "--region", "eu-west-3")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{`region: eu-west-3 +# --region`, `account: "?210987654321"? +# HEADWATER_ACCOUNT`, `log-level: warn +# .*headwater.yaml`, `drain-timeout: 10s +# default`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("config print has no line %s:\n%s", want, out)
		}
	}
	again, stderr, code := verb(t, nil, "config", "print", "--config", inFile(t, "printed.yaml", out))
	if code != 0 || !strings.Contains(again, "region: eu-west-3 ") {
		t.Errorf("what was printed is no configuration: exit code %d, %s\n%s", code, stderr, again)
	}

	// And the server does what is printed.
	limits := inFile(t, "limits.yaml", "max-object-size: 10\n")
	for _, test := range []struct {
		args   []string
		status int
	}{
		{[]string{"--config", limits}, http.StatusRequestEntityTooLarge},
		{[]string{"--config", limits, "--max-object-size", "11"}, http.StatusOK},
	} {
		endpoint := container(t, start(t, test.args...).URL, "live")
		if a := rawCall(t, "PUT", endpoint, "a.ts", "12345678901"); a.Status != test.status {
			t.Errorf("%q: %d %s, want %d", test.args, a.Status, a.Body, test.status)
		}
	}
}

// TestBadConfiguration: nothing is begun, the exit code is 2, and every setting
// that is wrong is named with where its value came from.
func TestBadConfiguration(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	const secret = "a secret with spaces in it"
	for _, test := range []struct {
		env, args, words []string
	}{
		{nil, []string{"--listen", "nonsense"}, []string{"listen (--listen)", "HOST:PORT"}},
		{nil, []string{"--listen", "127.0.0.1:99999"}, []string{"listen", "65535"}},
		{nil, []string{"--engine", "floppy"}, []string{"engine (--engine)", "logstore or memory"}},
		{nil, []string{"--region", "moon"}, []string{"region", "us-east-1"}},
		{nil, []string{"--account", "1"}, []string{"account", "12 digits"}},
		{nil, []string{"--domain", "a b"}, []string{"domain", "DNS"}},
		{nil, []string{"--drain-timeout", "-1s"}, []string{"drain-timeout", "negative"}},
		{nil, []string{"--max-object-size", "10XB"}, []string{"max-object-size"}},
		{nil, []string{"--max-uploads", "0"}, []string{"max-uploads", "from 1"}},
		{nil, []string{"--trusted-proxies", "10.0.0.0/8,nobody"}, []string{"trusted-proxies", "nobody", "CIDR"}},
		{nil, []string{"--tls-cert", "cert.pem"}, []string{"tls-key", "tls-cert"}},
		{nil, []string{"--quotas", "none"}, []string{"quotas", "headwater or aws"}},
		{nil, []string{"--listen", "x", "--region", "y"}, []string{"listen (--listen)", "region (--region)"}},
		{[]string{"HEADWATER_LOG_LEVEL=loud"}, nil, []string{"log-level (HEADWATER_LOG_LEVEL)", "debug"}},
		{[]string{"HEADWATER_ROOT_ACCESS_KEY=" + accessKey}, nil, []string{"root-secret-key", "root-access-key"}},
		{[]string{"HEADWATER_ROOT_ACCESS_KEY=" + accessKey, "HEADWATER_ROOT_SECRET_KEY=" + secret}, nil, []string{"root-secret-key", "16 to 128"}},
		{nil, []string{"--config", "/nonexistent/headwater.yaml"}, []string{"config", "/nonexistent/headwater.yaml"}},
		{nil, []string{"--config", inFile(t, "bad.yaml", "listen: x\nnonsense: 1\nregion: [a]\n")}, []string{"listen", "bad.yaml", "nonsense", "region"}},
		{nil, []string{"--config", inFile(t, "twice.yaml", "data: a\ndata: b\n")}, []string{"data", "twice.yaml"}},
		{nil, []string{"--config", inFile(t, "secret.yaml", "root-secret-key: 1234567890123456\n")}, []string{"root-secret-key"}},
		{nil, []string{"--nonsense"}, []string{"--nonsense", "--help"}},
		{nil, []string{"nonsense"}, []string{"nonsense", "no arguments"}},
	} {
		stdout, stderr, code := verb(t, test.env, append([]string{"serve", "--data", data}, test.args...)...)
		if code != 2 || stdout != "" {
			t.Errorf("%q %q: exit code %d, %s", test.env, test.args, code, stdout)
		}
		for _, word := range test.words {
			if !strings.Contains(stderr, word) {
				t.Errorf("%q %q: the message lacks %q: %s", test.env, test.args, word, stderr)
			}
		}
		if strings.Contains(stderr, secret) || strings.Contains(stderr, "1234567890123456") || strings.Contains(stderr, "goroutine") {
			t.Errorf("%q %q: the message has what it should not: %s", test.env, test.args, stderr)
		}
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the data directory was made: %v", err)
	}
	if _, stderr, code := verb(t, nil, "srve"); code != 2 || !strings.Contains(stderr, "did you mean serve") {
		t.Errorf("a verb that is none: exit code %d, %s", code, stderr)
	}
}

// TestCannotStart: the configuration is right and the machine is not; the exit
// code is 1.
func TestCannotStart(t *testing.T) {
	s := start(t)
	notADirectory := inFile(t, "file", "")
	for _, test := range []struct{ args, words []string }{
		{[]string{"--listen", strings.TrimPrefix(s.URL, "http://")}, []string{"address already in use", "--listen"}},
		{[]string{"--data", notADirectory}, []string{"data directory", notADirectory}},
		{[]string{"--tls-cert", "/nonexistent.pem", "--tls-key", "/nonexistent.pem"}, []string{"TLS certificate", "/nonexistent.pem"}},
		{[]string{"--tls-cert", notADirectory, "--tls-key", notADirectory}, []string{"TLS certificate"}},
	} {
		args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}, test.args...)
		stdout, stderr, code := verb(t, nil, args...)
		if code != 1 || stdout != "" || strings.Contains(stderr, "goroutine") {
			t.Errorf("%q: exit code %d, %s", test.args, code, stdout)
		}
		for _, word := range test.words {
			if !strings.Contains(stderr, word) {
				t.Errorf("%q: the message lacks %q: %s", test.args, word, stderr)
			}
		}
	}
}

func TestLogIsJSON(t *testing.T) {
	s := start(t, "--log-format", "json")
	endpoint := container(t, s.URL, "live")
	rawCall(t, "GET", endpoint, "nothere.ts", "")
	s.stop()
	lines := 0
	for line := range strings.Lines(s.log.String()) {
		var record struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Msg == "" || record.Level == "" {
			t.Errorf("%q: %v", line, err)
		}
		lines++
	}
	if lines < 3 {
		t.Errorf("the log has %d lines", lines)
	}
}

// certificate makes one for 127.0.0.1 and returns its files and who trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return inFile(t, "cert.pem", string(certPEM)), inFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))), pool
}

// client is an http.Client of a test.
type client struct {
	t *testing.T
	http.Client
}

// newClient returns a client with a transport of its own.
func newClient(t *testing.T, transport *http.Transport) *client {
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t, http.Client{Transport: transport}}
}

// begin sends a request and returns the answer, whose body is still to be read.
// Headers are name, value pairs; nobody in particular sends it unless asRoot.
func (c *client) begin(ctx context.Context, asRoot bool, method, url string, body io.Reader, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if asRoot {
		req.SetBasicAuth(accessKey, secretKey)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return c.Do(req)
}

// send is begin, and reads the body.
func (c *client) send(asRoot bool, method, url, body string, headers ...string) (*http.Response, string) {
	c.t.Helper()
	res, err := c.begin(context.Background(), asRoot, method, url, strings.NewReader(body), headers...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(b)
}

// operate calls an operation of the control plane.
func (c *client) operate(url, operation, input string, headers ...string) string {
	c.t.Helper()
	res, body := c.send(true, http.MethodPost, url+"/", input, append(headers, "X-Amz-Target", "MediaStore_20170901."+operation)...)
	if res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %d %s", operation, res.StatusCode, body)
	}
	return body
}

// endpoint waits until a container is there and returns its address.
func (c *client) endpoint(url, name string, headers ...string) (found string) {
	c.t.Helper()
	eventually(c.t, "the container is ACTIVE", func() bool {
		if m := endpointPattern.FindStringSubmatch(c.operate(url, "DescribeContainer", `{"ContainerName":"`+name+`"}`, headers...)); m != nil {
			found = m[1]
		}
		return found != ""
	})
	return found
}

// publicPolicy is the input that lets everybody read the container live under a
// condition.
func publicPolicy(condition string) string {
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"mediastore:GetObject","Resource":"` + arn("live") + `/*","Condition":` + condition + `}]}`
	b, _ := json.Marshal(map[string]string{"ContainerName": "live", "Policy": policy})
	return string(b)
}

func TestTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	data := t.TempDir()
	s := startIn(t, data, "--tls-cert", cert, "--tls-key", key, "--trusted-proxies", "127.0.0.1")
	h2 := newClient(t, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true})
	h1 := newClient(t, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}}})
	h2.operate(s.URL, "CreateContainer", `{"ContainerName":"live"}`)
	endpoint := h2.endpoint(s.URL, "live")
	if !strings.HasPrefix(endpoint, s.URL+"/") || !strings.HasPrefix(endpoint, "https://") {
		t.Errorf("the endpoint is %s, the server %s", endpoint, s.URL)
	}
	if res, body := h2.send(true, http.MethodPut, endpoint+"/a.ts", "hello"); res.StatusCode != http.StatusOK {
		t.Fatalf("PUT: %d %s", res.StatusCode, body)
	}

	// The default policy is for the account's own, TLS or not.
	if res, _ := h2.send(false, http.MethodGet, endpoint+"/a.ts", ""); res.StatusCode != http.StatusForbidden {
		t.Errorf("without credentials, under the default policy: %d", res.StatusCode)
	}
	h2.operate(s.URL, "PutContainerPolicy", publicPolicy(`{"Bool":{"aws:SecureTransport":"true"}}`))
	for _, test := range []struct {
		c       *client
		major   int
		headers []string
		status  int
	}{
		{h2, 2, nil, http.StatusOK},
		{h1, 1, nil, http.StatusOK},
		{h2, 2, []string{"X-Forwarded-Proto", "https"}, http.StatusOK},
		{h2, 2, []string{"X-Forwarded-Proto", "http"}, http.StatusForbidden}, // a trusted proxy got it in the clear
	} {
		res, body := test.c.send(false, http.MethodGet, endpoint+"/a.ts", "", test.headers...)
		if res.StatusCode != test.status || res.ProtoMajor != test.major || test.status == http.StatusOK && body != "hello" {
			t.Errorf("GET over HTTP/%d with %q: %d over %s, want %d", test.major, test.headers, res.StatusCode, res.Proto, test.status)
		}
	}
	checkTLSEdges(t, s, pool)
	s.stop()

	// The same container, without TLS.
	s = startIn(t, data)
	for _, headers := range [][]string{{anonymous}, {anonymous, "X-Forwarded-Proto: https"}} { // a client's own word counts for nothing
		a := rawCall(t, "GET", activeEndpoint(t, s.URL, "live"), "a.ts", "", headers...)
		if err := a.refused(http.StatusForbidden, "AccessDeniedException", "anonymous"); err != nil {
			t.Errorf("without TLS, %q: %v", headers, err)
		}
	}
	s.stop()
	s = startIn(t, data, "--trusted-proxies", "127.0.0.1")
	plain := activeEndpoint(t, s.URL, "live")
	if err := rawCall(t, "GET", plain, "a.ts", "", anonymous).refused(http.StatusForbidden, "AccessDeniedException", "anonymous"); err != nil {
		t.Errorf("without TLS: %v", err)
	}
	rawCall(t, "GET", plain, "a.ts", "", anonymous, "X-Forwarded-Proto: https").is(t, "behind a proxy with TLS", http.StatusOK, "hello")
	rawCall(t, "GET", plain, "a.ts", "").is(t, "the account's own, without TLS", http.StatusOK, "hello")
	secure := newClient(t, &http.Transport{}).endpoint(s.URL, "live", "X-Forwarded-Proto", "https")
	if want := "https" + strings.TrimPrefix(plain, "http"); secure != want {
		t.Errorf("behind a proxy with TLS the endpoint is %s, want %s", secure, want)
	}
}

// checkTLSEdges tries what a TLS listener must not take.
func checkTLSEdges(t *testing.T, s *server, pool *x509.CertPool) {
	t.Helper()
	address := strings.TrimPrefix(s.URL, "https://")
	if conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is taken")
	}
	c := dial(t, s.URL)
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if b, err := io.ReadAll(c.r); bytes.Contains(b, []byte(" 200 ")) {
		t.Errorf("HTTP without TLS is answered %q, %v", b, err)
	}
}

// TestFollowOverHTTP2 is following, and breaking off, where many requests share a
// connection.
func TestFollowOverHTTP2(t *testing.T) {
	cert, key, pool := certificate(t)
	s := start(t, "--tls-cert", cert, "--tls-key", key)
	c := newClient(t, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true})
	c.operate(s.URL, "CreateContainer", `{"ContainerName":"live"}`)
	object := c.endpoint(s.URL, "live") + "/a.ts"
	for round, breaksOff := range []bool{false, true} {
		ctx, cancel := context.WithCancel(context.Background())
		body, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			res, err := c.begin(ctx, true, http.MethodPut, object, body, "x-amz-upload-availability", "STREAMING")
			if err == nil {
				res.Body.Close()
				if res.StatusCode != http.StatusOK {
					err = fmt.Errorf("status %d", res.StatusCode)
				}
			}
			done <- err
		}()
		var readers []*follower
		for k := range 3 {
			chunk := chunkOf(10*round + k)
			if _, err := io.WriteString(w, chunk); err != nil {
				t.Fatal(err)
			}
			if k == 0 {
				readers = followersOver(c, object, 3)
			}
			for _, f := range readers {
				f.next(chunk)
			}
		}
		if breaksOff {
			w.CloseWithError(io.ErrUnexpectedEOF) // which resets the stream
		}
		w.Close()
		if err := <-done; (err != nil) != breaksOff {
			t.Errorf("the upload: %v", err)
		}
		for _, f := range readers {
			if breaksOff {
				f.wantCut()
			} else {
				f.wantEnd()
			}
		}
		cancel()
	}
	_, got := c.send(true, http.MethodGet, object, "")
	if want := chunkOf(0) + chunkOf(1) + chunkOf(2); got != want {
		t.Errorf("afterwards there is %.80q, want the upload that was complete", got)
	}
}

// followersOver waits until an upload is visible, and follows it n times.
func followersOver(c *client, object string, n int) (followers []*follower) {
	c.t.Helper()
	eventually(c.t, "the upload is visible", func() bool {
		res, _ := c.send(true, http.MethodHead, object, "")
		return res.StatusCode == http.StatusOK && res.ContentLength < 0
	})
	for range n {
		res, err := c.begin(context.Background(), true, http.MethodGet, object, nil)
		if err != nil || res.ProtoMajor != 2 {
			c.t.Fatalf("%v, %v", res, err)
		}
		c.t.Cleanup(func() { res.Body.Close() })
		followers = append(followers, &follower{res, &rawConn{t: c.t}})
	}
	return followers
}

// TestEndpoint: a container's ID never changes; its host is the one by which the
// client has reached the server, whose name for itself may mean nothing outside.
func TestEndpoint(t *testing.T) {
	data := t.TempDir()
	s := startIn(t, data, "--trusted-proxies", "127.0.0.1")
	id := strings.TrimPrefix(container(t, s.URL, "live"), s.URL)
	for headers, want := range map[string]string{
		"Host: origin.example":                             "http://origin.example",
		"Host: origin.example:8080":                        "http://origin.example:8080",
		"Host: origin.example\r\nX-Forwarded-Proto: https": "https://origin.example",
		"Host: [2001:db8::1]:8484":                         "http://[2001:db8::1]:8484",
		"Host: " + strings.TrimPrefix(s.URL, "http://"):    s.URL,
	} {
		for _, operation := range []string{"DescribeContainer", "ListContainers"} {
			a := roundTrip(t, s.URL, operationRequest(operation, `{"ContainerName":"live"}`, headers))
			if m := endpointPattern.FindStringSubmatch(a.Body); m == nil || m[1] != want+id {
				t.Errorf("%s, %q: %d %s, want the endpoint %s", operation, headers, a.Status, a.Body, want+id)
			}
		}
	}
	s.kill()
	s = startIn(t, data)
	if got := activeEndpoint(t, s.URL, "live"); got != s.URL+id {
		t.Errorf("after a restart the endpoint is %s, want %s", got, s.URL+id)
	}
}

// TestDomain: with a domain every container has a host of its own.
func TestDomain(t *testing.T) {
	s := start(t, "--domain", "Example.test")
	address := strings.TrimPrefix(s.URL, "http://")
	port := address[strings.LastIndexByte(address, ':'):]
	endpoint := container(t, s.URL, "live")
	m := regexp.MustCompile(`^http://([a-z0-9]{14})\.data\.example\.test` + port + `$`).FindStringSubmatch(endpoint)
	if m == nil {
		t.Fatalf("the endpoint is %s", endpoint)
	}
	dialer := &net.Dialer{}
	c := newClient(t, &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}})

	byGoSDK(t, c, endpoint)
	for _, test := range []struct{ method, endpoint, body, want string }{
		{"PUT", endpoint, "hello", `"ETag"`},
		{"GET", endpoint, "", "hello"},
		{"GET", strings.ToUpper(endpoint), "", "hello"},
	} {
		req, err := http.NewRequest(test.method, test.endpoint+"/a/b%3D1.ts", strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		signRequest(t, req, "UNSIGNED-PAYLOAD")
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusOK || !strings.Contains(string(b), test.want) {
			t.Errorf("%s, signed: %d %s", test.method, res.StatusCode, b)
		}
	}
	host := "Host: " + m[1] + ".data.example.test"
	for _, test := range []struct {
		target, host string
		status       int
	}{
		{"/a/b=1.ts", host, http.StatusOK},
		{"/a/b=1.ts", host + port, http.StatusOK},
		{"//a/b=1.ts", host, http.StatusOK},
		{"/a/b=1.ts", "Host: " + strings.ToUpper(m[1]) + ".DATA.EXAMPLE.TEST", http.StatusOK}, // host names have no case (RFC 4343)
		{"/" + m[1] + "/a/b=1.ts", "Host: example.test", http.StatusOK},                       // the path goes on working
		{"/" + m[1] + "/a/b=1.ts", "Host: 127.0.0.1", http.StatusOK},
		{"/" + m[1] + "/a/b=1.ts", host, http.StatusNotFound}, // but not below the container's own host
		{"/a/b=1.ts", "Host: aaaaaaaaaaaaaa.data.example.test", http.StatusNotFound},
		{"/a/b=1.ts", "Host: " + m[1] + ".example.test", http.StatusNotFound},
		{"/a/b=1.ts", "Host: " + m[1] + ".data.example.test.evil", http.StatusNotFound},
		{"/-/ready", host, http.StatusOK},
	} {
		if a := roundTrip(t, s.URL, rawRequest("GET", test.target, "", test.host)); a.Status != test.status {
			t.Errorf("GET %s, %s: %d %s, want %d", test.target, test.host, a.Status, a.Body, test.status)
		}
	}
	if a := roundTrip(t, s.URL, rawRequest("POST", "/b.ts", "posted", host)); a.Status != http.StatusOK {
		t.Errorf("POST to a container's host: %d %s", a.Status, a.Body)
	}
	a := roundTrip(t, s.URL, rawRequest("GET", "/?Path=a", "", host))
	if strings.Count(a.Body, `"Name"`) != 1 || !strings.Contains(a.Body, `"b=1.ts"`) {
		t.Errorf("the list of a folder is %d %s", a.Status, a.Body)
	}
}

// byGoSDK takes an object through its life with a client that signs for the
// container's own host.
func byGoSDK(t *testing.T, c *client, endpoint string) {
	t.Helper()
	data := mediastoredata.New(goSession(t, endpoint, accessKey, secretKey), &aws.Config{HTTPClient: &c.Client})
	path := aws.String("folder/by=sdk.ts")
	try(data.PutObject(&mediastoredata.PutObjectInput{Path: path, Body: strings.NewReader("by the SDK")})).ok(t)
	got := try(data.GetObject(&mediastoredata.GetObjectInput{Path: path})).ok(t)
	if b, err := io.ReadAll(got.Body); string(b) != "by the SDK" || err != nil {
		t.Errorf("GetObject: %q, %v", b, err)
	}
	list := try(data.ListItems(&mediastoredata.ListItemsInput{Path: aws.String("folder")})).ok(t)
	if len(list.Items) != 1 || aws.StringValue(list.Items[0].Name) != "by=sdk.ts" {
		t.Errorf("ListItems: %v", list)
	}
	try(data.DeleteObject(&mediastoredata.DeleteObjectInput{Path: path})).ok(t)
	try(data.DescribeObject(&mediastoredata.DescribeObjectInput{Path: path})).fails(t, "ObjectNotFoundException", http.StatusNotFound)
}

func TestTrustedProxies(t *testing.T) {
	const condition = `{"IpAddress":{"aws:SourceIp":["203.0.113.0/24","2001:db8:5::/48"]}}`
	for _, test := range []struct {
		trusted string
		rows    map[string]int // X-Forwarded-For: the status
	}{
		{"", map[string]int{"": 403, "203.0.113.7": 403}}, // who is not trusted is not believed
		{"10.0.0.0/8", map[string]int{"203.0.113.7": 403}},
		{"127.0.0.1,10.0.0.0/8", map[string]int{
			"":                                    403,
			"203.0.113.7":                         200,
			"203.0.113.7:4711":                    200,
			"2001:db8:5::1":                       200,
			"[2001:db8:5::1]:99":                  200,
			"::ffff:203.0.113.7":                  200,
			"203.0.113.7, 10.1.2.3":               200,
			"198.51.100.1":                        403,
			"203.0.113.7, 198.51.100.1":           403, // the nearest that is not trusted wrote the rest
			"198.51.100.1, 203.0.113.7":           200,
			"garbage":                             403,
			"203.0.113.7, garbage":                403,
			"203.0.113.7, 198.51.100.1, 10.9.9.9": 403,
		}},
	} {
		args := []string{}
		if test.trusted != "" {
			args = []string{"--trusted-proxies", test.trusted}
		}
		s := start(t, args...)
		endpoint := container(t, s.URL, "live")
		putObject(t, endpoint, "a.ts", "hello")
		if status, body := control(t, s.URL, "PutContainerPolicy", publicPolicy(condition)); status != http.StatusOK {
			t.Fatalf("PutContainerPolicy: %d %s", status, body)
		}
		for forwarded, want := range test.rows {
			headers := []string{anonymous}
			if forwarded != "" {
				headers = append(headers, "X-Forwarded-For: "+forwarded)
			}
			if a := rawCall(t, "GET", endpoint, "a.ts", "", headers...); a.Status != want {
				t.Errorf("trusted %q, X-Forwarded-For %q: %d %s, want %d", test.trusted, forwarded, a.Status, a.Body, want)
			}
		}
	}
}

// TestIPv6 listens on the loopback address, on machines that have IPv6.
func TestIPv6(t *testing.T) {
	probe, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Logf("no IPv6 here: %v", err)
		return
	}
	probe.Close()
	s := start(t, "--listen", "[::1]:0")
	endpoint := container(t, s.URL, "live")
	if !strings.HasPrefix(endpoint, "http://[::1]:") {
		t.Errorf("the endpoint is %s", endpoint)
	}
	putObject(t, endpoint, "a.ts", "hello")
	if status, body := control(t, s.URL, "PutContainerPolicy", publicPolicy(`{"IpAddress":{"aws:SourceIp":"::1"}}`)); status != http.StatusOK {
		t.Fatalf("PutContainerPolicy: %d %s", status, body)
	}
	rawCall(t, "GET", endpoint, "a.ts", "", anonymous).is(t, "from ::1", http.StatusOK, "hello")
}

// TestContainerLimit: a container that is gone makes room for another.
func TestContainerLimit(t *testing.T) {
	s := start(t, "--max-containers", "1")
	endpoint := container(t, s.URL, "live")
	create := func() *rawAnswer {
		return roundTrip(t, endpoint, operationRequest("CreateContainer", `{"ContainerName":"more"}`))
	}
	if err := create().refused(http.StatusBadRequest, "LimitExceededException", "1"); err != nil {
		t.Error(err)
	}
	if status, body := control(t, s.URL, "DeleteContainer", `{"ContainerName":"live"}`); status != http.StatusOK {
		t.Fatalf("DeleteContainer: %d %s", status, body)
	}
	eventually(t, "there is room again", func() bool { return create().Status == http.StatusOK })
}

// TestAWSQuotas: a body that is too large is refused before it is sent, and one
// byte less is not.
func TestAWSQuotas(t *testing.T) {
	preset := container(t, start(t, "--quotas", "aws").URL, "live")
	wider := container(t, start(t, "--quotas", "aws", "--max-object-size", "26MB").URL, "live")
	const standard = "x-amz-upload-availability: STANDARD"
	for _, test := range []struct {
		endpoint, availability string
		size, status           int
	}{
		{preset, standard, 25_000_000, http.StatusContinue},
		{preset, standard, 25_000_001, http.StatusRequestEntityTooLarge},
		{preset, streaming, 10_000_000, http.StatusContinue},
		{preset, streaming, 10_000_001, http.StatusRequestEntityTooLarge},
		{wider, standard, 25_000_001, http.StatusContinue}, // a quota that is set wins over the preset
		{wider, standard, 26_000_001, http.StatusRequestEntityTooLarge},
		{wider, streaming, 10_000_001, http.StatusRequestEntityTooLarge},
	} {
		c := dial(t, test.endpoint)
		c.send(rawRequest("PUT", rawTarget(test.endpoint, "a.ts"), "", "Expect: 100-continue", fmt.Sprint("Content-Length: ", test.size), test.availability))
		if res := c.head("PUT"); res.StatusCode != test.status {
			t.Errorf("%d bytes, %s: %d, want %d", test.size, test.availability, res.StatusCode, test.status)
		}
		c.Close()
	}
}

// TestOperations: what lies below /-/ is for everybody, whoever they say they are.
func TestOperations(t *testing.T) {
	s := start(t)
	for _, test := range []struct {
		method, target string
		status         int
		body           string
	}{
		{"GET", "/-/live", http.StatusOK, "live\n"},
		{"HEAD", "/-/live", http.StatusOK, ""},
		{"GET", "/-/ready", http.StatusOK, "ready\n"},
		{"HEAD", "/-/ready", http.StatusOK, ""},
		{"GET", "/-/ready?x=1", http.StatusOK, "ready\n"},
		{"POST", "/-/live", http.StatusMethodNotAllowed, "method"},
		{"PUT", "/-/ready", http.StatusMethodNotAllowed, "method"},
		{"DELETE", "/-/player/", http.StatusMethodNotAllowed, "method"},
		{"GET", "/-/x", http.StatusNotFound, "/-/ready"},
		{"GET", "/-/", http.StatusNotFound, "/-/ready"},
		{"GET", "/-/player/../../etc/passwd", http.StatusNotFound, ""},
	} {
		for _, who := range []string{anonymous, "Authorization: Basic bm9ib2R5Om5vdGhpbmc=", "Authorization: Nonsense"} {
			a := roundTrip(t, s.URL, rawRequest(test.method, test.target, "", who))
			if a.Status != test.status || !strings.Contains(a.Body, test.body) || a.Err != nil {
				t.Errorf("%s %s, %s: %d %q, %v; want %d %q", test.method, test.target, who, a.Status, a.Body, a.Err, test.status, test.body)
			}
			if allow := a.Header.Get("Allow"); (allow == "GET, HEAD") != (test.status == http.StatusMethodNotAllowed) {
				t.Errorf("%s %s: %d, Allow: %q", test.method, test.target, a.Status, allow)
			}
		}
	}
}

// TestPlayerPage fetches the page and everything that it names.
func TestPlayerPage(t *testing.T) {
	s := start(t)
	const page = "/-/player/"
	fetch := func(path string) string {
		a := roundTrip(t, s.URL, rawRequest("GET", page+path, "", anonymous))
		if policy := a.Header.Get("Content-Security-Policy"); a.Status != http.StatusOK || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: %d, Content-Security-Policy: %s", path, a.Status, policy)
		}
		if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Content-Type") == "" || a.Body == "" {
			t.Errorf("%s: %d bytes, %v", path, len(a.Body), a.Header)
		}
		return a.Body
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(fetch("?src=/abcdefghijklmn/live.m3u8"), -1)
	for _, link := range links {
		fetch(strings.TrimPrefix(link[1], "./"))
	}
	if len(links) < 4 {
		t.Errorf("the page names only %q", links)
	}
}
