package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

const secret = "a-secret-of-the-webhook"

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC) }

// verified reads a call and holds it against the words of Standard Webhooks: the
// header has signatures with spaces between them, each a version, a comma and, of
// version v1, the base64 of an HMAC-SHA256 over ID, timestamp and body with full
// stops between them.
func verified(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Unix(seconds, 0).Sub(noon()).Abs() > 5*time.Minute {
		return nil, fmt.Errorf("webhook-timestamp: %s", r.Header.Get("webhook-timestamp"))
	}
	signed := bytes.Join([][]byte{[]byte(r.Header.Get("webhook-id")), []byte(r.Header.Get("webhook-timestamp")), body}, []byte("."))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(signed)
	for signature := range strings.FieldsSeq(r.Header.Get("webhook-signature")) {
		version, encoded, _ := strings.Cut(signature, ",")
		sum, err := base64.StdEncoding.DecodeString(encoded)
		if version == "v1" && err == nil && hmac.Equal(sum, mac.Sum(nil)) {
			return body, nil
		}
	}
	return nil, fmt.Errorf("webhook-signature: %s", r.Header.Get("webhook-signature"))
}

// hook starts a receiver and returns a webhook for it.
func hook(t *testing.T, handle http.HandlerFunc) *Webhook {
	t.Helper()
	front := httptest.NewServer(handle)
	t.Cleanup(front.Close)
	return webhookAt(t, front.URL+"/in?key=hidden")
}

func webhookAt(t *testing.T, url string) *Webhook {
	t.Helper()
	h, err := NewWebhook(WebhookConfig{URL: url, Secret: []byte(secret), Now: noon}, renderer())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.client.CloseIdleConnections)
	return h
}

func TestWebhookCalls(t *testing.T) {
	var got []map[string]any
	var ids []string
	h := hook(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := verified(r)
		if err != nil || r.Method != http.MethodPost || r.URL.RequestURI() != "/in?key=hidden" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		if ct := r.Header.Get("Content-Type"); ct != "application/cloudevents+json; charset=utf-8" {
			t.Errorf("Content-Type: %s", ct)
		}
		var ce map[string]any
		if err := json.Unmarshal(body, &ce); err != nil {
			t.Error(err)
		}
		got, ids = append(got, ce), append(ids, r.Header.Get("webhook-id"))
	})
	const arn = "arn:aws:mediastore:us-east-1:111122223333:container/movies"
	types := []string{"container.created", "object.updated", "object.removed", "container.removed"}
	for i, e := range changes() {
		if err := h.post(t.Context(), &e); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"specversion": "1.0", "id": e.ID(), "source": arn, "type": "com.amazonaws.mediastore." + types[i],
			"time": "2026-03-01T12:00:00.25Z", "datacontenttype": "application/json", "data": wanted(t)[i],
		}
		if e.Path != "" {
			want["subject"] = string(e.Path)
		}
		if diff := gocmp.Diff(want, got[i]); diff != "" || ids[i] != e.ID() {
			t.Errorf("webhook-id %s\n%s", ids[i], diff)
		}
	}
}

func TestWebhookAnswers(t *testing.T) {
	verdicts := map[string][]int{
		"delivered": {200, 201, 202, 204},
		"again":     {301, 302, 307, 401, 403, 404, 408, 425, 429, 500, 502, 503, 504, 599},
		"refused":   {400, 402, 405, 409, 410, 413, 415, 422, 451},
	}
	for want, statuses := range verdicts {
		for _, status := range statuses {
			h := hook(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/in" {
					t.Error("a redirect was followed")
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			})
			if got := verdict(h.Deliver(t.Context(), changes()[:1])[0]); got != want {
				t.Errorf("%d: %s, want %s", status, got, want)
			}
		}
	}
}

func TestWebhookRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "99999999999999999999": 0,
		"Sun, 01 Mar 2026 12:00:35 GMT": 30 * time.Second, "Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		h := hook(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		if got := pauseAsked(h.post(t.Context(), &changes()[0])); got != want {
			t.Errorf("Retry-After: %s gives %v", value, got)
		}
	}
	if got := pauseAsked(&RetryError{After: time.Hour}); got != maxBackoff {
		t.Errorf("an hour gives %v", got)
	}
}

// TestWebhookIsNotThere, or not trusted: the event comes again, and the secret in
// the URL is not told.
func TestWebhookIsNotThere(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	tls := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was called") }))
	tls.Config.ErrorLog = nil
	tls.StartTLS()
	defer tls.Close()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx context.Context
		url string
	}{
		"nobody listens":          {t.Context(), gone.URL},
		"its certificate is ours": {t.Context(), tls.URL},
		"we are ending":           {canceled, gone.URL},
	} {
		err := webhookAt(t, test.url+"/in?key=hidden").post(test.ctx, &changes()[0])
		if verdict(err) != "again" || strings.Contains(fmt.Sprint(err), "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWebhookAnswersWithoutEnd: only so much of an answer is read.
func TestWebhookAnswersWithoutEnd(t *testing.T) {
	ended := make(chan struct{})
	h := hook(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		junk := make([]byte, 1<<16)
		for {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
	})
	if err := h.post(t.Context(), &changes()[0]); err != nil {
		t.Error(err)
	}
	<-ended
}

func TestWebhookNames(t *testing.T) {
	a, b := webhookAt(t, "https://a.example/x?key=hidden"), webhookAt(t, "https://a.example/y")
	if a.Name() == b.Name() || a.Name() != webhookAt(t, "https://a.example/x?key=hidden").Name() || !strings.HasPrefix(a.Name(), "webhook-a.example-") {
		t.Errorf("%s and %s", a.Name(), b.Name())
	}
	for _, url := range []string{"", "a.example", "ftp://a.example", "https://", "http://[::1"} {
		if _, err := NewWebhook(WebhookConfig{URL: url}, renderer()); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

func TestParseWebhookSecret(t *testing.T) {
	for in, want := range map[string]string{"plain-secret-of-16": "plain-secret-of-16", "whsec_c2VjcmV0": "secret", "whsec_?": "", "whsec_": ""} {
		got, err := ParseWebhookSecret(in)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func BenchmarkWebhookRequest(b *testing.B) {
	h, err := NewWebhook(WebhookConfig{URL: "https://a.example/", Secret: []byte(secret), Now: noon}, renderer())
	if err != nil {
		b.Fatal(err)
	}
	e := changes()[1]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.request(b.Context(), &e); err != nil {
			b.Fatal(err)
		}
	}
}
