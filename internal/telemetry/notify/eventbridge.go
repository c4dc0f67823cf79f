package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// EventBridgeSource is the source of the events that EventBridge gets: sources
// that begin with "aws." are for the services of AWS, and refused from others.
const EventBridgeSource = "headwater.mediastore"

// What one call of PutEvents takes, and how many are made at a time.
const (
	putEntries = 10
	putCalls   = 4
)

// callTimeout bounds one call of a receiver.
const callTimeout = 10 * time.Second

// EventBridgeConfig says where to. Credentials are found by the SDK's default
// chain.
type EventBridgeConfig struct {
	Bus      string // name or ARN of the event bus
	Region   string // of the bus; what the default chain finds when empty
	Endpoint string // URL; that of AWS when empty
	Source   string // of the events; EventBridgeSource when empty
}

// EventBridge is a receiver: a bus of Amazon EventBridge.
type EventBridge struct {
	client *eventbridge.Client
	render *Renderer
	bus    string
	source string
}

// NewEventBridge loads the SDK's configuration. Nothing is sent.
func NewEventBridge(ctx context.Context, config EventBridgeConfig, render *Renderer) (*EventBridge, error) {
	var options []func(*awsconfig.LoadOptions) error
	if config.Region != "" {
		options = append(options, awsconfig.WithRegion(config.Region))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, &mediastore.Error{Op: "notify.NewEventBridge", Kind: mediastore.KindInvalid, Message: "the AWS configuration cannot be loaded", Err: err}
	}
	if loaded.Region == "" {
		return nil, mediastore.Invalid("Region", "EventBridge needs an AWS region: give one, or set AWS_REGION")
	}
	client := eventbridge.NewFromConfig(loaded, func(o *eventbridge.Options) {
		o.Retryer = aws.NopRetryer{} // the dispatcher retries
		if config.Endpoint != "" {
			o.BaseEndpoint = aws.String(config.Endpoint)
		}
	})
	source := config.Source
	if source == "" {
		source = EventBridgeSource
	}
	return &EventBridge{client: client, render: render, bus: config.Bus, source: source}, nil
}

// Name implements Sink.
func (b *EventBridge) Name() string { return "eventbridge-" + b.bus }

// Limits implements Sink.
func (b *EventBridge) Limits() (events, calls int) { return putEntries, putCalls }

// Deliver implements Sink with one call of PutEvents. A call that fails fails for
// all of its events; otherwise each has an outcome of its own.
func (b *EventBridge) Deliver(ctx context.Context, events []event.Event) []error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entries := make([]types.PutEventsRequestEntry, len(events))
	for i := range events {
		entry, err := b.entry(&events[i])
		if err != nil {
			return forAll(events, err)
		}
		entries[i] = entry
	}
	out, err := b.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
	if err == nil && len(out.Entries) != len(events) {
		err = fmt.Errorf("PutEvents answered %d entries for %d", len(out.Entries), len(events))
	}
	if err != nil {
		return forAll(events, &RetryError{Err: err})
	}
	errs := make([]error, len(events))
	for i := range out.Entries {
		errs[i] = outcome(&out.Entries[i])
	}
	return errs
}

func forAll(events []event.Event, err error) []error {
	errs := make([]error, len(events))
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// entry is what PutEvents takes for an event. EventBridge makes the envelope
// itself, with an ID of its own, so ours is in the detail.
func (b *EventBridge) entry(e *event.Event) (types.PutEventsRequestEntry, error) {
	envelope := b.render.Envelope(e)
	detail, err := json.Marshal(struct {
		Detail
		EventID string `json:"EventId"`
	}{envelope.Detail, envelope.ID})
	return types.PutEventsRequestEntry{
		EventBusName: &b.bus,
		Source:       &b.source,
		DetailType:   &envelope.DetailType,
		Detail:       aws.String(string(detail)),
		Resources:    envelope.Resources,
		Time:         &e.Time,
	}, err
}

// outcome says what became of an entry. Errors that blame its content will not go
// away; all others, those of permissions too, may.
func outcome(entry *types.PutEventsResultEntry) error {
	code := aws.ToString(entry.ErrorCode)
	why := fmt.Errorf("%s: %s", code, aws.ToString(entry.ErrorMessage))
	switch code {
	case "":
		return nil
	case "InvalidArgument", "MalformedDetail", "RedactionFailure":
		return &RefusedError{Why: why.Error()}
	default:
		return &RetryError{Err: why}
	}
}

// newTransport returns connections of a receiver's own.
func newTransport(calls int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = calls
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}
