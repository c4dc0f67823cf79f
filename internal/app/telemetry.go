package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"headwater/internal/config"
	"headwater/internal/engine/logstore"
	"headwater/internal/event"
	"headwater/internal/telemetry/accesslog"
	"headwater/internal/telemetry/audit"
	"headwater/internal/telemetry/cloudwatch"
	"headwater/internal/telemetry/logfile"
	"headwater/internal/telemetry/metrics"
	"headwater/internal/telemetry/notify"
	"headwater/internal/telemetry/otlp"
)

// flushTimeout bounds how long the end of the program waits for others to take
// what they have not yet been told.
const flushTimeout = 5 * time.Second

// telemetry is who listens. What is not configured is nil.
type telemetry struct {
	metrics    *metrics.Metrics
	access     *accesslog.Writer
	audit      *audit.Log
	cloudwatch *cloudwatch.Metrics
	otlp       *otlp.Exporter
	changes    sync.Mutex // held while a change of a container is told
}

// openTelemetry makes the listeners.
func (a *App) openTelemetry() error {
	t := &a.telemetry
	t.metrics = metrics.New(metrics.Build{Version: a.process.Version})
	if e, ok := a.engine.(*logstore.Engine); ok {
		t.metrics.Engine(func() metrics.EngineStats { return engineStats(e.Stats()) })
	}
	for _, open := range []func() error{a.openOTLP, a.openCloudWatch, a.openAccessLog, a.openAudit} {
		if err := open(); err != nil {
			return err
		}
	}
	return nil
}

func engineStats(s logstore.Stats) metrics.EngineStats {
	return metrics.EngineStats{
		Writable:         !s.Failed,
		DiskSize:         int64(s.DiskTotal),
		DiskFree:         int64(s.DiskFree),
		Volumes:          s.Volumes,
		OpenVolumes:      s.OpenVolumes,
		LiveBytes:        s.LiveBytes,
		IndexMemory:      int64(s.MemTableBytes),
		IndexDebt:        int64(s.CompactionDebt),
		IndexLogBytes:    int64(s.LogBytes),
		IndexCacheHits:   s.CacheHits,
		IndexCacheMisses: s.CacheMisses,
	}
}

// awsRegion is that of the AWS services which the server uses.
func (a *App) awsRegion() string {
	if a.config.AWS.Region != "" {
		return a.config.AWS.Region
	}
	return a.config.Region
}

func (a *App) openOTLP() (err error) {
	c := a.config
	logs := c.Logs.Access == config.LogOTLP
	if !logs && len(c.OTLP.Signals) == 0 {
		return nil
	}
	a.telemetry.otlp, err = otlp.New(context.Background(), otlp.Config{
		Endpoint:       c.OTLP.Endpoint,
		Metrics:        c.OTLP.Exports("metrics"),
		Traces:         c.OTLP.Exports("traces"),
		Logs:           logs,
		ServiceVersion: a.process.Version,
		InstanceID:     serverName(),
		Gatherer:       a.telemetry.metrics.Gatherer(),
		Log:            a.log,
	})
	return err
}

func (a *App) openCloudWatch() (err error) {
	if !a.config.Metrics.CloudWatch {
		return nil
	}
	a.telemetry.cloudwatch, err = cloudwatch.NewMetrics(context.Background(), cloudwatch.Config{
		Namespace: a.config.Metrics.Namespace,
		Region:    a.awsRegion(),
		Endpoint:  a.config.AWS.CloudWatchURL,
		Now:       time.Now,
		Log:       a.log,
	})
	return err
}

// serverName tells this server from others that log to the same place.
func serverName() string {
	name, err := os.Hostname()
	if err != nil {
		name = "headwater"
	}
	return name
}

// destination is where a log goes, auto decided.
func (a *App) destination(d config.LogDestination) config.LogDestination {
	switch {
	case d != config.LogAuto:
		return d
	case a.config.Engine == config.EngineMemory: // which leaves nothing on disk
		return config.LogOff
	default:
		return config.LogFile
	}
}

func (a *App) openAccessLog() error {
	sink, err := a.accessSink()
	if err != nil || sink == nil {
		return err
	}
	a.telemetry.access = accesslog.New(accesslog.Config{Sink: sink, Now: time.Now, Log: a.log, OnDrop: a.telemetry.metrics.Dropped})
	return nil
}

// accessSink is where access logs go, nil for nowhere.
func (a *App) accessSink() (accesslog.Sink, error) {
	switch a.destination(a.config.Logs.Access) {
	case config.LogFile:
		f, err := a.logFile("access.jsonl")
		if err != nil {
			return nil, err
		}
		return accesslog.File(f), nil
	case config.LogStdout:
		return accesslog.Stream(a.process.Stdout), nil
	case config.LogOTLP:
		return a.telemetry.otlp.Sink(), nil
	case config.LogCloudWatch:
		logs, err := cloudwatch.NewLogs(context.Background(), cloudwatch.LogsConfig{
			Region:   a.awsRegion(),
			Endpoint: a.config.AWS.CloudWatchLogs,
			Stream:   fmt.Sprintf("%s-%d", serverName(), time.Now().Unix()),
		})
		if err != nil {
			return nil, err
		}
		return logs, nil
	default:
		return nil, nil
	}
}

// logFile opens a log below the data directory.
func (a *App) logFile(name string) (*logfile.File, error) {
	l := a.config.Logs
	return logfile.Open(logfile.Options{
		Path:        filepath.Join(a.config.Data, "logs", name),
		MaxSize:     int64(l.MaxSize),
		RotateEvery: l.RotateEvery,
		Keep:        l.Keep,
		Now:         time.Now,
		Log:         a.log,
	})
}

func (a *App) openAudit() error {
	var output audit.Output
	switch a.destination(a.config.Logs.Audit) {
	case config.LogFile:
		f, err := a.logFile("audit.jsonl")
		if err != nil {
			return err
		}
		output = f
	case config.LogStdout:
		output = audit.Stream(a.process.Stdout)
	default:
		return nil
	}
	a.telemetry.audit = audit.New(audit.Config{Output: output, Log: a.log, OnRecord: a.telemetry.metrics.Audited})
	return nil
}

// openNotify makes the receivers of events. It comes after the listener, whose
// address is in them.
func (a *App) openNotify() (err error) {
	sinks, err := a.receivers()
	if err != nil {
		return err
	}
	a.notify, err = notify.Open(context.Background(), notify.Config{
		Log:    a.engine,
		Sinks:  sinks,
		Retain: a.config.Events.Retain,
		Limit:  a.config.Events.Limit,
		MaxAge: a.config.Events.MaxAge,
		Now:    time.Now,
		Rand:   rand.Float64,
		Logger: a.log,
		Stats: func(sink string, backlog func() int, reasons ...string) notify.Stats {
			return a.telemetry.metrics.EventSink(sink, backlog, reasons...)
		},
	})
	return err
}

func (a *App) receivers() (sinks []notify.Sink, err error) {
	c, render := a.config.Events, a.renderer()
	secret, err := notify.ParseWebhookSecret(c.WebhookSecret.Reveal())
	if err != nil {
		return nil, err
	}
	for _, url := range c.Webhooks {
		webhook, err := notify.NewWebhook(notify.WebhookConfig{URL: url, Secret: secret, Now: time.Now}, render)
		if err != nil {
			return nil, err
		}
		sinks = append(sinks, webhook)
	}
	if c.Bus == "" {
		return sinks, nil
	}
	bus, err := notify.NewEventBridge(context.Background(), notify.EventBridgeConfig{Bus: c.Bus, Region: a.awsRegion(), Endpoint: c.EventBridgeURL}, render)
	return append(sinks, bus), err
}

func (a *App) renderer() *notify.Renderer {
	return &notify.Renderer{Region: a.config.Region, Endpoint: a.publicEndpoint}
}

// request tells all listeners of an answered request.
func (t *telemetry) request(r *event.Request) {
	t.metrics.Request(r)
	if t.access != nil {
		t.access.Request(r)
	}
	if t.cloudwatch != nil {
		t.cloudwatch.Request(r)
	}
	if t.otlp != nil {
		t.otlp.Request(r)
	}
}

// call tells of a call of the control plane.
func (t *telemetry) call(c *event.Call) {
	if t.audit != nil {
		t.audit.Call(c)
	}
}

// group tells of a group commit. The engine is there before the metrics are.
func (t *telemetry) group(operations int) {
	if t.metrics != nil {
		t.metrics.Group(operations)
	}
}

// close hands on what is still to be told, and ends. Logs go before the exporter
// that they may go to.
func (t *telemetry) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	var errs []error
	if t.access != nil {
		errs = append(errs, t.access.Close(ctx))
	}
	if t.audit != nil {
		errs = append(errs, t.audit.Close())
	}
	if t.cloudwatch != nil {
		errs = append(errs, t.cloudwatch.Close(ctx))
	}
	if t.otlp != nil {
		errs = append(errs, t.otlp.Close(ctx))
	}
	return errors.Join(errs...)
}
