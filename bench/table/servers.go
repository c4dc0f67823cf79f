package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Names of the servers.
const (
	headwater = "headwater"
	nginx     = "nginx"
	minio     = "minio"
	versitygw = "versitygw"
	bareRelay = "bare relay"
	noServer  = "no server"
)

// server is a running server.
type server struct {
	*process
	name    string
	addr    string // host:port
	base    string // of every object's path
	service string // that requests are signed for, empty when they are not
	overTLS bool
	store   bool // keeps objects, which are to be laid before
	client  *http.Client
	tls     *tls.Config
	direct  net.Listener // of the followers, when there is no server
}

// kind is a server that can be started.
type kind struct {
	name  string
	start func(ctx context.Context, dir string, cert *certificate) (*server, error)
}

var kinds = []kind{
	{headwater, func(ctx context.Context, dir string, _ *certificate) (*server, error) {
		return startHeadwater(ctx, dir, nil)
	}},
	{headwater, startHeadwater},
	{nginx, func(ctx context.Context, dir string, _ *certificate) (*server, error) {
		return startNginx(ctx, dir, nil)
	}},
	{nginx, startNginx},
	{minio, startMinIO},
	{versitygw, startVersitygw},
	{bareRelay, startBareRelay},
	{noServer, startNoServer},
}

var errNotInstalled = errors.New("not installed")

// find looks for a program in bin/ and then among the system's.
func find(name string) (string, error) {
	for _, path := range []string{"bin/" + name, name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", fmt.Errorf("%s: %w", name, errNotInstalled)
}

// freeAddr returns an address that nothing listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// newServer makes the server's directory, and a client for what is not measured.
func newServer(name, dir string, cert *certificate) (*server, string, error) {
	s := &server{name: name, overTLS: cert != nil, store: true, client: http.DefaultClient}
	if cert != nil {
		s.tls = cert.client
		s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: cert.client}}
		name += "-tls"
	}
	dir = filepath.Join(dir, name)
	err := os.MkdirAll(dir, 0o755)
	return s, dir, err
}

// await starts a program and waits until it listens.
func (s *server) await(ctx context.Context, dir string, cmd *exec.Cmd) (_ *server, err error) {
	if s.process, err = start(dir, cmd); err != nil {
		return nil, err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			return s, c.Close()
		}
	}
	return s, fmt.Errorf("it does not listen; its log is %s", dir)
}

func startHeadwater(ctx context.Context, dir string, cert *certificate) (*server, error) {
	s, dir, err := newServer(headwater, dir, cert)
	if err != nil {
		return nil, err
	}
	if err := s.serveHeadwater(dir, cert); err != nil {
		return s, err
	}
	return s, s.makeContainer(ctx)
}

var urlPattern = regexp.MustCompile(`https?://(\S+)`)

// serveHeadwater starts the program and waits for its start line.
func (s *server) serveHeadwater(dir string, cert *certificate) error {
	program, err := find(headwater)
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--account", account, "--log-level", "warn")
	if cert != nil {
		cmd.Args = append(cmd.Args, "--tls-cert", cert.certFile, "--tls-key", cert.keyFile)
	}
	cmd.Env = append(os.Environ(), "HEADWATER_ROOT_ACCESS_KEY="+accessKey, "HEADWATER_ROOT_SECRET_KEY="+secretKey)
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout = in
	s.process, err = start(dir, cmd)
	in.Close()
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	m := urlPattern.FindStringSubmatch(line)
	if err != nil || m == nil {
		return fmt.Errorf("no start line: %q, %w", line, err)
	}
	s.addr, s.service = m[1], "mediastore"
	return nil
}

// anyoneReads lets everyone get objects, as a policy for a public origin does.
const anyoneReads = `{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Principal":"*","Action":["mediastore:GetObject","mediastore:DescribeObject"],"Resource":"arn:aws:mediastore:us-east-1:111122223333:container/bench/*"}]}`

func (s *server) makeContainer(ctx context.Context) error {
	if _, err := s.control(ctx, "CreateContainer", map[string]string{"ContainerName": "bench"}); err != nil {
		return err
	}
	if err := s.awaitEndpoint(ctx); err != nil {
		return err
	}
	_, err := s.control(ctx, "PutContainerPolicy", map[string]string{"ContainerName": "bench", "Policy": anyoneReads})
	return err
}

// awaitEndpoint waits for the container, and learns where its objects are.
func (s *server) awaitEndpoint(ctx context.Context) error {
	for ctx.Err() == nil {
		answer, err := s.control(ctx, "DescribeContainer", map[string]string{"ContainerName": "bench"})
		if err != nil {
			return err
		}
		var described struct{ Container struct{ Endpoint string } }
		if err := json.Unmarshal(answer, &described); err != nil {
			return err
		}
		if u, err := url.Parse(described.Container.Endpoint); err == nil && u.Path != "" {
			s.base = u.Path
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ctx.Err()
}

// control calls an operation of the control plane.
func (s *server) control(ctx context.Context, operation string, input any) ([]byte, error) {
	body, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url("/"), strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(accessKey, secretKey)
	r.Header.Set("X-Amz-Target", "MediaStore_20170901."+operation)
	return s.do(r)
}

func (s *server) url(path string) string {
	if s.overTLS {
		return "https://" + s.addr + path
	}
	return "http://" + s.addr + path
}

func (s *server) do(r *http.Request) ([]byte, error) {
	res, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s %s", r.Method, r.URL, res.Status, answer)
	}
	return answer, err
}

// nginxConfig has what an origin would set, and else nginx's defaults.
const nginxConfig = `
daemon off; %s
pid %[2]s/nginx.pid;
error_log %[2]s/error.log;
worker_processes auto;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush off;
	keepalive_requests 1000000000;
	client_max_body_size 0;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/fastcgi; scgi_temp_path %[2]s/scgi; uwsgi_temp_path %[2]s/uwsgi;
	types { video/mp2t ts; application/vnd.apple.mpegurl m3u8; }
	server {
		listen %[3]s;
		%[4]s
		root %[2]s/root;
		location / { dav_methods PUT DELETE; create_full_put_path on; }
	}
}
`

const nginxTLS = "ssl_protocols TLSv1.3; ssl_certificate %s; ssl_certificate_key %s;"

func startNginx(ctx context.Context, dir string, cert *certificate) (*server, error) {
	s, dir, err := newServer(nginx, dir, cert)
	if err != nil {
		return nil, err
	}
	program, err := find(nginx)
	if err != nil {
		return nil, err
	}
	if s.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	user, listen, secure := "", s.addr, ""
	if os.Getuid() == 0 {
		user = "user root;" // or the workers could not write here
	}
	if cert != nil {
		listen, secure = s.addr+" ssl http2", fmt.Sprintf(nginxTLS, cert.certFile, cert.keyFile)
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, user, dir, listen, secure), 0o600); err != nil {
		return nil, err
	}
	s.base = "/bench"
	return s.await(ctx, dir, exec.Command(program, "-p", dir, "-c", file))
}

func startMinIO(ctx context.Context, dir string, _ *certificate) (*server, error) {
	return startS3(ctx, dir, minio, func(dir, addr string) *exec.Cmd {
		cmd := exec.Command("", "server", "--quiet", "--address", addr, filepath.Join(dir, "data"))
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off")
		return cmd
	})
}

func startVersitygw(ctx context.Context, dir string, _ *certificate) (*server, error) {
	return startS3(ctx, dir, versitygw, func(dir, addr string) *exec.Cmd {
		return exec.Command("", "--quiet", "--keep-alive", "--port", addr, "--access", accessKey, "--secret", secretKey, "--region", region, "posix", filepath.Join(dir, "data"))
	})
}

func startS3(ctx context.Context, dir, name string, command func(dir, addr string) *exec.Cmd) (*server, error) {
	s, dir, err := newServer(name, dir, nil)
	if err != nil {
		return nil, err
	}
	program, err := find(name)
	if err != nil {
		return nil, err
	}
	if s.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		return nil, err
	}
	cmd := command(dir, s.addr)
	cmd.Path, cmd.Args[0], cmd.Err = program, program, nil
	s.base, s.service = "/bench", "s3"
	if _, err := s.await(ctx, dir, cmd); err != nil {
		return s, err
	}
	return s, s.makeBucket(ctx)
}

// makeBucket tries until the server has begun to take requests.
func (s *server) makeBucket(ctx context.Context) (err error) {
	for range 50 {
		r, failed := http.NewRequestWithContext(ctx, http.MethodPut, s.url(s.base), nil)
		if failed != nil {
			return failed
		}
		if err = s.sign(r); err != nil {
			return err
		}
		if _, err = s.do(r); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}
