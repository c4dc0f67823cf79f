package otlp

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// startMetrics begins to send, once an interval, what the Gatherer gathers.
func (e *Exporter) startMetrics(ctx context.Context, cfg Config, base *url.URL, about *resource.Resource) error {
	var to []otlpmetrichttp.Option
	if base != nil {
		to = append(to, otlpmetrichttp.WithEndpointURL(base.JoinPath("v1", "metrics").String()))
	}
	exporter, err := otlpmetrichttp.New(ctx, to...)
	if err != nil {
		return err
	}
	options := []sdkmetric.PeriodicReaderOption{
		sdkmetric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(gatherer{cfg.Gatherer, cfg.Log}))),
	}
	if cfg.Interval > 0 {
		options = append(options, sdkmetric.WithInterval(cfg.Interval))
	}
	reader := sdkmetric.NewPeriodicReader(metricExporter{exporter, e.sender}, options...)
	sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(about)) // tells the reader whose they are
	e.closers = append(e.closers, reader.Shutdown)
	return nil
}

// gatherer passes on what could be gathered in spite of an error, which the bridge
// would drop, and report to a handler that is global to the process.
type gatherer struct {
	prometheus.Gatherer
	log *slog.Logger
}

func (g gatherer) Gather() ([]*dto.MetricFamily, error) {
	families, err := g.Gatherer.Gather()
	if err != nil {
		g.log.Warn("some metrics cannot be gathered for OTLP", "error", err)
	}
	return families, nil
}
