package otlp

import (
	"context"
	"log/slog"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// sender stands between the SDK and its exporters. The SDK reports a failure to a
// handler that is global to the process, so it is not let know of any: they go to
// our log. And stop cuts off what the SDK would let run on after a Close whose
// time is over.
type sender struct {
	log  *slog.Logger
	ctx  context.Context
	stop context.CancelFunc
}

func newSender(log *slog.Logger) *sender {
	ctx, cancel := context.WithCancel(context.Background())
	return &sender{log: log, ctx: ctx, stop: cancel}
}

// send calls export with a context that also ends with the sender.
func (s *sender) send(ctx context.Context, export func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	return export(ctx)
}

type metricExporter struct {
	sdkmetric.Exporter
	sender *sender
}

func (e metricExporter) Export(ctx context.Context, data *metricdata.ResourceMetrics) error {
	err := e.sender.send(ctx, func(ctx context.Context) error { return e.Exporter.Export(ctx, data) })
	if err != nil {
		e.sender.log.Warn("metrics cannot be sent by OTLP", "error", err)
	}
	return nil
}

type spanExporter struct {
	sdktrace.SpanExporter
	sender *sender
}

func (e spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.sender.send(ctx, func(ctx context.Context) error { return e.SpanExporter.ExportSpans(ctx, spans) })
	if err != nil {
		e.sender.log.Warn("spans cannot be sent by OTLP", "error", err, "lost", len(spans))
	}
	return nil
}

type logExporter struct {
	sdklog.Exporter
	sender *sender
}

// Export returns its errors: our sink calls it, and whoever writes to that logs
// and counts them.
func (e logExporter) Export(ctx context.Context, records []sdklog.Record) error {
	return e.sender.send(ctx, func(ctx context.Context) error { return e.Exporter.Export(ctx, records) })
}
