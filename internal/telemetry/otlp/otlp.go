// Package otlp tells an OpenTelemetry collector what the server does: its metrics,
// its access log and a span for each request, by OTLP over HTTP.
//
// The official SDK makes and sends the messages, and obeys its own OTEL_*
// environment variables. The package must not know engines, services or edges: it
// gets facts, finished records and a registry of metrics.
package otlp

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"headwater/internal/mediastore"
	"headwater/internal/telemetry/accesslog"
)

// Config says what is told, and to whom.
type Config struct {
	// Endpoint is the base URL of the collector, to which /v1/metrics, /v1/logs and
	// /v1/traces are added. When it is empty, OTEL_EXPORTER_OTLP_ENDPOINT and its
	// kin decide. Headers, certificates, compression and timeouts are always theirs
	// to decide.
	Endpoint string

	// The signals that are sent.
	Metrics, Logs, Traces bool

	ServiceVersion string
	InstanceID     string // which of several servers it is

	Gatherer prometheus.Gatherer // of the metrics, needed for them alone
	Interval time.Duration       // between metrics; when zero, OTEL_METRIC_EXPORT_INTERVAL or a minute

	Log *slog.Logger // is told of what cannot be sent
}

// Exporter sends the signals that are switched on, in the background.
type Exporter struct {
	sender *sender
	tracer trace.Tracer // nil without traces
	sink   *sink        // nil without logs

	// closers end what each signal has running, at once when the context has ended.
	// The SDK's providers would then leave it running.
	closers []func(context.Context) error
}

// New starts an Exporter. Close ends it. It returns a KindInvalid error for an
// endpoint that is no URL of HTTP. A collector that cannot be reached is no error.
func New(ctx context.Context, cfg Config) (*Exporter, error) {
	base, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	e := &Exporter{sender: newSender(cfg.Log)}
	about := describe(ctx, cfg)
	for _, signal := range []struct {
		on    bool
		start func(context.Context, Config, *url.URL, *resource.Resource) error
	}{{cfg.Metrics, e.startMetrics}, {cfg.Logs, e.startLogs}, {cfg.Traces, e.startTraces}} {
		if !signal.on {
			continue
		}
		if err := signal.start(ctx, cfg, base, about); err != nil {
			_ = e.Close(ctx) // of what has hardly begun
			return nil, &mediastore.Error{Op: "otlp.New", Kind: mediastore.KindInvalid, Message: "the exporter cannot be made", Err: err}
		}
	}
	return e, nil
}

// parseEndpoint returns nil for the empty endpoint.
func parseEndpoint(endpoint string) (*url.URL, error) {
	if endpoint == "" {
		return nil, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, mediastore.Invalid("Endpoint", "must be a URL such as http://collector:4318")
	}
	return u, nil
}

// describe returns the attributes of the server. OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES win over ours.
func describe(ctx context.Context, cfg Config) *resource.Resource {
	about := []attribute.KeyValue{semconv.ServiceName("headwater")}
	if cfg.ServiceVersion != "" {
		about = append(about, semconv.ServiceVersion(cfg.ServiceVersion))
	}
	if cfg.InstanceID != "" {
		about = append(about, semconv.ServiceInstanceID(cfg.InstanceID))
	}
	r, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(about...), resource.WithFromEnv())
	if err != nil {
		cfg.Log.Warn("OpenTelemetry's resource attributes are not complete", "error", err)
	}
	return r
}

// Sink is where access log records go to be sent, and nil when logs are not. It
// must be closed before the Exporter.
func (e *Exporter) Sink() accesslog.Sink {
	if e.sink == nil {
		return nil
	}
	return e.sink
}

// Close sends what waits, for as long as ctx allows: at its end what is under way
// is cut off and lost, which the log says.
func (e *Exporter) Close(ctx context.Context) error {
	defer e.sender.stop()
	failures := make([]error, len(e.closers))
	var closing sync.WaitGroup
	for i, end := range e.closers {
		closing.Go(func() { failures[i] = end(ctx) })
	}
	closing.Wait()
	return errors.Join(failures...)
}
