package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// basic is the Authorization header of HTTP Basic.
func basic(key, secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"+secret))
}

// rawConn is a client that speaks HTTP by hand: it can pause, break off and lie.
type rawConn struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// dial connects to the server behind a URL. The deadline ends a test that hangs:
// it says nothing about how long anything should take.
func dial(t *testing.T, rawURL string) *rawConn {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

// rawRequest renders a request with the given headers, or as the root user's when
// none of them is about who sends it. A body gets a Content-Length unless a header
// says how long it is.
func rawRequest(method, target, body string, headers ...string) string {
	lines := []string{method + " " + target + " HTTP/1.1"}
	all := strings.ToLower("\n" + strings.Join(headers, "\n"))
	if !strings.Contains(all, "\nhost:") {
		lines = append(lines, "Host: headwater.test")
	}
	if !strings.Contains(all, "\nauthorization:") {
		lines = append(lines, basic(accessKey, secretKey))
	}
	if !strings.Contains(all, "\ncontent-length:") && !strings.Contains(all, "\ntransfer-encoding:") {
		lines = append(lines, fmt.Sprint("Content-Length: ", len(body)))
	}
	for _, h := range headers {
		if !strings.HasSuffix(h, ": ") { // "Authorization: " is for no credentials at all
			lines = append(lines, h)
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// anonymous is the header that makes a request carry no credentials.
const anonymous = "Authorization: "

// send writes to the connection. A server may close it before it has taken all,
// which shows in the answer.
func (c *rawConn) send(s string) { _, _ = io.WriteString(c.Conn, s) }

// chunk sends one chunk of a chunked body.
func (c *rawConn) chunk(data string) { c.send(fmt.Sprintf("%x\r\n%s\r\n", len(data), data)) }

// end ends a chunked body.
func (c *rawConn) end() { c.send("0\r\n\r\n") }

// rawAnswer is what a request got.
type rawAnswer struct {
	Status int
	Header http.Header
	Body   string
	Err    error // why the body is not whole, nil when it is
}

// head reads the head of an answer; the body is still to come.
func (c *rawConn) head(method string) *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer to %s: %v", method, err)
	}
	return res
}

// answer reads an answer to its end.
func (c *rawConn) answer(method string) *rawAnswer {
	c.t.Helper()
	res := c.head(method)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return &rawAnswer{res.StatusCode, res.Header, string(body), err}
}

// roundTrip sends a request on a connection of its own and reads the answer.
func roundTrip(t *testing.T, rawURL, request string) *rawAnswer {
	t.Helper()
	c := dial(t, rawURL)
	defer c.Close()
	c.send(request)
	method, _, _ := strings.Cut(request, " ")
	return c.answer(method)
}

// rawCall sends a request to a path below an endpoint.
func rawCall(t *testing.T, method, endpoint, path, body string, headers ...string) *rawAnswer {
	t.Helper()
	return roundTrip(t, endpoint, rawRequest(method, rawTarget(endpoint, path), body, headers...))
}

// rawTarget is the path of a request to an object, below the container.
func rawTarget(endpoint, path string) string {
	_, rest, _ := strings.Cut(endpoint, "://")
	_, id, _ := strings.Cut(rest, "/")
	return "/" + id + "/" + path
}

// putObject stores an object and returns its ETag.
func putObject(t *testing.T, endpoint, path, body string, headers ...string) string {
	t.Helper()
	a := rawCall(t, "PUT", endpoint, path, body, headers...)
	return a.etag(t)
}

// etag reads the answer to a PUT that was to succeed.
func (a *rawAnswer) etag(t *testing.T) string {
	t.Helper()
	var out struct{ ETag string }
	if err := json.Unmarshal([]byte(a.Body), &out); a.Status != http.StatusOK || err != nil || out.ETag == "" {
		t.Fatalf("PUT: %d %s", a.Status, a.Body)
	}
	return out.ETag
}

// is fails unless the answer has a status and body.
func (a *rawAnswer) is(t *testing.T, what string, status int, body string) {
	t.Helper()
	if a.Status != status || a.Body != body || a.Err != nil {
		t.Errorf("%s: %d %.200q, %v; want %d %.200q", what, a.Status, a.Body, a.Err, status, body)
	}
}

// refused returns why the answer is not the refusal with a status and code whose
// message has all of the words, in the form that both planes have; nil when it is.
func (a *rawAnswer) refused(status int, code string, words ...string) error {
	var body struct{ Type, Message string }
	problems := []error{a.Err}
	if a.Body != "" || code == "" {
		raw := strings.Replace(a.Body, `"__type"`, `"Type"`, 1)
		if err := json.Unmarshal([]byte(raw), &body); err != nil {
			problems = append(problems, err)
		}
		if body.Type != a.Header.Get("x-amzn-ErrorType") {
			problems = append(problems, fmt.Errorf("code %q in the body, %q in the header", body.Type, a.Header.Get("x-amzn-ErrorType")))
		}
	}
	if a.Status != status || a.Header.Get("x-amzn-ErrorType") != code {
		problems = append(problems, fmt.Errorf("got %d %s, want %d %s", a.Status, a.Header.Get("x-amzn-ErrorType"), status, code))
	}
	if len(a.Header.Get("x-amzn-RequestId")) < 10 {
		problems = append(problems, errors.New("no x-amzn-RequestId"))
	}
	if n := len([]rune(body.Message)); n > 255 {
		problems = append(problems, fmt.Errorf("the message has %d characters", n))
	}
	for _, word := range words {
		if !strings.Contains(body.Message, word) {
			problems = append(problems, fmt.Errorf("the message lacks %q", word))
		}
	}
	return errors.Join(problems...)
}

// listNames lists a container's root, folders with a slash.
func listNames(t *testing.T, endpoint, folder string) []string {
	t.Helper()
	a := rawCall(t, "GET", endpoint, "?Path="+url.QueryEscape(folder), "")
	var page struct{ Items []struct{ Name, Type string } }
	if err := json.Unmarshal([]byte(a.Body), &page); a.Status != http.StatusOK || err != nil {
		t.Fatalf("ListItems: %d %s", a.Status, a.Body)
	}
	list := []string{}
	for _, item := range page.Items {
		if item.Type == "FOLDER" {
			item.Name += "/"
		}
		list = append(list, item.Name)
	}
	return list
}

// putPolicy sets a container's policy to statements without a Resource, each an
// object's members.
func putPolicy(t *testing.T, endpoint, name string, statements ...string) {
	t.Helper()
	resource := fmt.Sprintf(`"Resource":"arn:aws:mediastore:%s:%s:container/%s/*"`, region, account, name)
	for i := range statements {
		statements[i] = "{" + statements[i] + "," + resource + "}"
	}
	policy := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	input, err := json.Marshal(map[string]string{"ContainerName": name, "Policy": policy})
	if err != nil {
		t.Fatal(err)
	}
	if status, body := control(t, endpoint, "PutContainerPolicy", string(input)); status != http.StatusOK {
		t.Fatalf("PutContainerPolicy: %d %s", status, body)
	}
}
