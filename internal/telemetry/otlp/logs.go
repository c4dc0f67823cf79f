package otlp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"headwater/internal/telemetry/accesslog"
)

const (
	// accessEvent is the name of the event that a record of the access log is.
	accessEvent = "headwater.access"

	maxRecords   = 1000             // in one message
	writeTimeout = 30 * time.Second // for a Write, with all the SDK's attempts
)

// startLogs makes the sink for the access log.
//
// The SDK's own batch processor drops records without a word when the collector is
// slower than they come. The sink is used by one goroutine that has a queue and
// counts what it loses: so it sends by itself, and tells it.
func (e *Exporter) startLogs(ctx context.Context, _ Config, base *url.URL, about *resource.Resource) error {
	var to []otlploghttp.Option
	if base != nil {
		to = append(to, otlploghttp.WithEndpointURL(base.JoinPath("v1", "logs").String()))
	}
	exporter, err := otlploghttp.New(ctx, to...)
	if err != nil {
		return err
	}
	made := &collector{}
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(made), sdklog.WithResource(about))
	e.sink = &sink{exporter: logExporter{exporter, e.sender}, logger: provider.Logger(scope), made: made}
	e.closers = append(e.closers, exporter.Shutdown)
	return nil
}

// sink sends each batch that it is given, and keeps nothing back.
type sink struct {
	exporter logExporter
	logger   log.Logger
	made     *collector
}

// Write sends the records. It takes half a minute at most. Its error has a method
// Lost() int, of how many records are lost.
func (s *sink) Write(ctx context.Context, batch []accesslog.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var lost lostError
	for part := range slices.Chunk(batch, maxRecords) {
		for i := range part {
			s.logger.Emit(ctx, record(&part[i]))
		}
		if err := s.exporter.Export(ctx, s.made.take()); err != nil {
			lost.records, lost.cause = lost.records+len(part), errors.Join(lost.cause, err)
		}
	}
	if lost.records == 0 {
		return nil
	}
	return &lost
}

// Close does nothing: Write keeps nothing back.
func (s *sink) Close() error { return nil }

// lostError says how many of the records that were given to Write are lost. Those
// of a message that the collector took in part only count as lost all of them.
type lostError struct {
	records int
	cause   error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("%d access log records are lost: %v", e.records, e.cause)
}

func (e *lostError) Unwrap() error { return e.cause }

// Lost is the number of records.
func (e *lostError) Lost() int { return e.records }

// record returns the entry with its JSON as the body, so that it is the same text
// wherever access logs go.
func record(e *accesslog.Entry) log.Record {
	var r log.Record
	r.SetEventName(accessEvent)
	r.SetTimestamp(e.Time)
	r.SetSeverity(log.SeverityInfo)
	r.SetBody(attribute.StringValue(string(e.JSON)))
	r.AddAttributes(
		attribute.String(containerKey, string(e.Container)),
		semconv.CloudAccountID(string(e.Account)),
	)
	return r
}

// collector is the processor that keeps the records that the SDK makes, with the
// resource and scope that only the SDK can give them, until they are taken.
type collector struct{ records []sdklog.Record }

func (c *collector) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

func (c *collector) OnEmit(_ context.Context, r *sdklog.Record) error {
	c.records = append(c.records, r.Clone())
	return nil
}

func (c *collector) ForceFlush(context.Context) error { return nil }

func (c *collector) Shutdown(context.Context) error { return nil }

// take returns the records, which are good until the next is made.
func (c *collector) take() []sdklog.Record {
	taken := c.records
	c.records = c.records[:0]
	return taken
}
