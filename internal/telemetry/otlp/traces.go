package otlp

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"headwater/internal/event"
)

// The names that OpenTelemetry's conventions have none for.
const (
	scope        = "headwater" // of what we make
	containerKey = "headwater.container"
	operationKey = "headwater.operation"
	errorCodeKey = "headwater.error_code"
)

// startTraces begins to send spans. Which requests have one is for
// OTEL_TRACES_SAMPLER to say; without it, all that are not part of a trace that is
// not sampled.
func (e *Exporter) startTraces(ctx context.Context, _ Config, base *url.URL, about *resource.Resource) error {
	var to []otlptracehttp.Option
	if base != nil {
		to = append(to, otlptracehttp.WithEndpointURL(base.JoinPath("v1", "traces").String()))
	}
	exporter, err := otlptracehttp.New(ctx, to...)
	if err != nil {
		return err
	}
	batches := sdktrace.NewBatchSpanProcessor(spanExporter{exporter, e.sender})
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(batches), sdktrace.WithResource(about))
	e.tracer = provider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	e.closers = append(e.closers, batches.Shutdown)
	return nil
}

// Request makes the span of a request, of the trace that its client has begun or
// else of one of its own. It is a listener: it never waits for the collector.
func (e *Exporter) Request(r *event.Request) {
	if e.tracer == nil {
		return
	}
	_, span := e.tracer.Start(parent(r), spanName(r), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.Received))
	if span.IsRecording() {
		fill(span, r)
	}
	span.End(trace.WithTimestamp(r.LastByte))
}

// parent reads the header traceparent (W3C Trace Context, section 3.2). What is
// not well formed is no parent.
func parent(r *event.Request) context.Context {
	if r.TraceParent == "" {
		return context.Background()
	}
	return propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": r.TraceParent})
}

// spanName has few values, as it must: an operation says more than a method.
func spanName(r *event.Request) string {
	if r.Operation != "" {
		return string(r.Operation)
	}
	if method := knownMethod(r.Method); method != semconv.HTTPRequestMethodOther {
		return method.Value.AsString()
	}
	return "HTTP"
}

// fill gives the span what can be told of its request.
func fill(span trace.Span, r *event.Request) {
	span.SetAttributes(attributes(r)...)
	if !r.FirstByte.IsZero() {
		span.AddEvent("first byte", trace.WithTimestamp(r.FirstByte))
	}
	if failed(r) {
		span.SetAttributes(semconv.ErrorTypeKey.String(cmp.Or(r.ErrorCode, strconv.Itoa(r.Status))))
		span.SetStatus(codes.Error, "")
	}
}

// attributes returns what OpenTelemetry's semantic conventions for HTTP servers ask
// for, and what we add.
func attributes(r *event.Request) []attribute.KeyValue {
	method := knownMethod(r.Method)
	all := append(make([]attribute.KeyValue, 0, 12), // as many as there may be
		method,
		semconv.URLPath("/"+text(r.Path)),
		semconv.URLScheme(scheme(r)),
		semconv.HTTPResponseStatusCode(r.Status),
		semconv.HTTPRequestBodySize(int(r.BytesReceived)),
		semconv.HTTPResponseBodySize(int(r.BytesSent)),
		semconv.AWSRequestID(r.ID),
		attribute.String(containerKey, string(r.Container)),
	)
	if method == semconv.HTTPRequestMethodOther {
		all = append(all, semconv.HTTPRequestMethodOriginal(text(r.Method)))
	}
	if r.Source.IsValid() {
		all = append(all, semconv.ClientAddress(r.Source.String()))
	}
	if r.Operation != "" {
		all = append(all, attribute.String(operationKey, string(r.Operation)))
	}
	if r.ErrorCode != "" {
		all = append(all, attribute.String(errorCodeKey, r.ErrorCode))
	}
	return all
}

// failed says whether the server is to blame: for a client's error it is not, for
// an answer that broke off after a good status it is.
func failed(r *event.Request) bool {
	return r.Status >= 500 || r.Status < 300 && r.ErrorCode != ""
}

// text makes what a client sent fit for Protocol Buffers: one string in it that is
// not UTF-8, and the SDK loses the whole message.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func scheme(r *event.Request) string {
	if r.Secure {
		return "https"
	}
	return "http"
}

// knownMethod is the method, or _OTHER for one that the conventions do not know: a
// client could send any number of them.
func knownMethod(method string) attribute.KeyValue {
	switch method {
	case "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE":
		return semconv.HTTPRequestMethodKey.String(method)
	}
	return semconv.HTTPRequestMethodOther
}
