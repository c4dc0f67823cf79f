package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// there is one object, and else an error with a body.
var there = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/there" {
		http.Error(w, "nowhere", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Length", "1048576")
	_, _ = w.Write([]byte(strings.Repeat("x", large)))
})

func TestClient(t *testing.T) {
	web := httptest.NewServer(there)
	defer web.Close()
	s := &server{addr: web.Listener.Addr().String()}
	c, err := dial(s.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	head, err := s.head(http.MethodGet, "/there", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got, err := c.exchange(head, nil); got != large || err != nil {
			t.Fatalf("%d bytes, %v", got, err)
		}
	}
	if head, err = s.head(http.MethodGet, "/gone", 0, false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.exchange(head, nil); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("no object gave the error %v", err)
	}
}

func TestClientOfHTTP2(t *testing.T) {
	cert, err := makeCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: there}
	defer server.Close()
	go func() { _ = server.ServeTLS(l, cert.certFile, cert.keyFile) }()
	for path, want := range map[string]bool{"/there": true, "/gone": false} {
		c, err := dial2(l.Addr().String(), path, large, cert.client)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * streams {
			if err = c.exchange(); err != nil {
				break
			}
		}
		c.Close()
		if (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestStatOfThisProcess(t *testing.T) {
	if f := stat(os.Getpid()); len(f) < 13 {
		t.Errorf("fields %v", f)
	}
}
