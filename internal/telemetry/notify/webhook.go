package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// The types of CloudEvents.
const (
	typeObjectUpdated    = "com.amazonaws.mediastore.object.updated"
	typeObjectRemoved    = "com.amazonaws.mediastore.object.removed"
	typeContainerCreated = "com.amazonaws.mediastore.container.created"
	typeContainerRemoved = "com.amazonaws.mediastore.container.removed"
)

const (
	webhookCalls = 8        // at a time
	maxAnswer    = 64 << 10 // bytes of an answer that are read, so that its connection can be used again
)

// WebhookConfig says where to, and how to sign.
type WebhookConfig struct {
	URL    string
	Secret []byte           // as ParseWebhookSecret returns it
	Now    func() time.Time // stamps the calls
}

// ParseWebhookSecret returns the key that a secret stands for: the bytes of the
// text, or what is encoded after "whsec_", as Standard Webhooks writes secrets.
func ParseWebhookSecret(s string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(s, "whsec_")
	if !ok {
		return []byte(s), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, mediastore.Invalid("webhook-secret", "must be base64 after whsec_")
	}
	return key, nil
}

// Webhook is a receiver: a URL that each event is posted to, as a CloudEvent in
// structured mode (CloudEvents 1.0.2, HTTP protocol binding, section 3.2), signed
// as Standard Webhooks says.
type Webhook struct {
	config WebhookConfig
	client *http.Client
	render *Renderer
	name   string
}

// NewWebhook returns the receiver at a URL.
func NewWebhook(config WebhookConfig, render *Renderer) (*Webhook, error) {
	u, err := url.Parse(config.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, mediastore.Invalid("webhook", "must be an http or https URL")
	}
	sum := sha256.Sum256([]byte(config.URL))
	return &Webhook{
		config: config,
		render: render,
		name:   "webhook-" + u.Hostname() + "-" + hex.EncodeToString(sum[:4]),
		client: &http.Client{
			Transport:     newTransport(webhookCalls),
			Timeout:       callTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Name implements Sink: the host, and a hash of the URL, whose path and query may
// be secret.
func (h *Webhook) Name() string { return h.name }

// Limits implements Sink.
func (h *Webhook) Limits() (events, calls int) { return 1, webhookCalls }

// Deliver implements Sink.
func (h *Webhook) Deliver(ctx context.Context, events []event.Event) []error {
	errs := make([]error, len(events))
	for i := range events {
		errs[i] = h.post(ctx, &events[i])
	}
	return errs
}

func (h *Webhook) post(ctx context.Context, e *event.Event) error {
	r, err := h.request(ctx, e)
	if err != nil {
		return &RefusedError{Why: err.Error()}
	}
	answer, err := h.client.Do(r)
	if err != nil {
		var inURL *url.Error
		if errors.As(err, &inURL) {
			err = inURL.Err // without the URL, which may hold a secret
		}
		return &RetryError{Err: err}
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	return h.judge(answer)
}

func (h *Webhook) request(ctx context.Context, e *event.Event) (*http.Request, error) {
	body, err := h.render.cloudEvent(e)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	id, timestamp := e.ID(), strconv.FormatInt(h.config.Now().Unix(), 10)
	r.Header.Set("Content-Type", cloudevents.ApplicationCloudEventsJSON+"; charset=utf-8")
	r.Header.Set("User-Agent", "headwater")
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", timestamp)
	r.Header.Set("webhook-signature", "v1,"+sign(h.config.Secret, id, timestamp, body))
	return r, nil
}

// sign is the symmetric signature of Standard Webhooks.
func sign(secret []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// judge decides what an answer means. What the receiver says of this event is
// final; what it says of itself, or of who may call it, may change.
func (h *Webhook) judge(answer *http.Response) error {
	status := answer.StatusCode
	switch {
	case status >= 200 && status <= 299:
		return nil
	case status < 400 || status >= 500, mayChange(status):
		return &RetryError{Err: fmt.Errorf("the webhook answered %s", answer.Status), After: h.retryAfter(answer)}
	default:
		return &RefusedError{Why: "the webhook answered " + answer.Status}
	}
}

func mayChange(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	default:
		return false
	}
}

// retryAfter reads Retry-After in both its forms (RFC 9110, section 10.2.3).
func (h *Webhook) retryAfter(answer *http.Response) time.Duration {
	value := answer.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(h.config.Now()))
}

// cloudEvent returns the event as a CloudEvent in JSON whose data is the envelope.
func (r *Renderer) cloudEvent(e *event.Event) ([]byte, error) {
	ce := cloudevents.New(cloudevents.CloudEventsVersionV1)
	ce.SetID(e.ID())
	ce.SetSource(r.container(e))
	ce.SetType(cloudEventType(e.Kind))
	if ofObject(e) {
		ce.SetSubject(string(e.Path))
	}
	ce.SetTime(e.Time.UTC())
	if err := ce.SetData(cloudevents.ApplicationJSON, r.Envelope(e)); err != nil {
		return nil, err
	}
	if err := ce.Validate(); err != nil {
		return nil, err
	}
	return ce.MarshalJSON()
}

func cloudEventType(kind event.Kind) string {
	switch kind {
	case event.ObjectUpdated:
		return typeObjectUpdated
	case event.ObjectRemoved:
		return typeObjectRemoved
	case event.ContainerCreated:
		return typeContainerCreated
	default:
		return typeContainerRemoved
	}
}
