package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headwater/internal/archive"
	"headwater/internal/mediastore"
	"headwater/internal/metricpolicy"
	"headwater/internal/objects"
	"headwater/internal/sweep"
	"headwater/internal/telemetry/metrics"
)

// tierTimeout bounds the proof that the cold tier works.
const tierTimeout = 30 * time.Second

// openArchive opens the cold tier, when there is one. A directory that is not there
// is an error: its disk may not be mounted.
func (a *App) openArchive() error {
	if a.config.Lifecycle.Archive == "" {
		return nil
	}
	region := a.config.AWS.Region
	if a.config.Lifecycle.ArchiveEndpoint == "" { // the region of another store than AWS is its own affair
		region = a.awsRegion()
	}
	tier, err := archive.Open(context.Background(), a.config.Lifecycle.Archive, archive.Options{
		Endpoint:  a.config.Lifecycle.ArchiveEndpoint,
		Region:    region,
		PathStyle: a.config.Lifecycle.ArchiveEndpoint != "",
	})
	if err != nil {
		return fmt.Errorf("archive: %w", plainly(err))
	}
	a.archive = tier
	return nil
}

// checkArchive proves that the cold tier works. One that does not now may later:
// that is logged, and no reason for live channels to be off air, nor to wait for it.
func (a *App) checkArchive(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, tierTimeout)
	defer cancel()
	if err := a.archive.Check(bounded); err != nil && ctx.Err() == nil {
		a.log.Error("the cold tier does not work at present: archived objects cannot be read", "archive", a.config.Lifecycle.Archive, "error", err)
	}
}

// openArchived opens bytes in the cold tier for a reader.
func (a *App) openArchived() func(context.Context, string, int64) (objects.Bytes, error) {
	if a.archive == nil {
		return nil
	}
	return func(ctx context.Context, name string, size int64) (objects.Bytes, error) {
		return a.archive.Open(ctx, name, size)
	}
}

func (a *App) newSweeper() *sweep.Sweeper {
	config := sweep.Config{
		Engine:         a.engine,
		Each:           a.eachContainer,
		Listener:       sweepListener{a.telemetry.metrics},
		Log:            a.log,
		Now:            time.Now,
		EventsOnExpiry: bool(a.config.Events.OnExpiry),
		Interval:       a.config.Lifecycle.SweepInterval,
		Rate:           a.config.Lifecycle.SweepRate,
	}
	if a.archive != nil { // a nil archive.Store would be an Archive that is not nil
		config.Archive = a.archive
	}
	return sweep.New(config)
}

// sweepListener counts what the sweeper does.
type sweepListener struct{ metrics *metrics.Metrics }

func (l sweepListener) Swept(what sweep.What, objects int, bytes int64) {
	l.metrics.Swept(string(what), objects, bytes)
}

func (l sweepListener) Failed(what sweep.What, _ error) { l.metrics.SweepFailed(string(what)) }

func (l sweepListener) Pass(what sweep.What, took time.Duration, objects int) {
	l.metrics.SweepPassed(string(what), took, objects)
}

// eachContainer visits every container.
func (a *App) eachContainer(ctx context.Context, visit func(mediastore.Container) error) error {
	for after, more := mediastore.ContainerName(""), true; more; {
		page, m, err := a.engine.ListContainers(ctx, a.config.Account, after, 100)
		if err != nil {
			return err
		}
		for _, c := range page {
			if err := visit(c); err != nil {
				return err
			}
			after = c.Name
		}
		more = m
	}
	return nil
}

// containerChanged tells those who act on a container's documents. What it is told
// of may not be the newest change any more, so it looks.
func (a *App) containerChanged(before, after mediastore.Container) {
	if before.Lifecycle != after.Lifecycle {
		a.sweeper.Kick(after.ID)
	}
	a.telemetry.changes.Lock()
	defer a.telemetry.changes.Unlock()
	now, err := a.engine.ContainerByID(context.Background(), after.ID)
	if err != nil { // gone, or what is wrong shows elsewhere
		now = mediastore.Container{Name: after.Name}
	}
	if err := a.measure(now); err != nil {
		a.log.Error("a metric policy cannot be read", "container", after.Name, "error", err)
	}
}

// measure says what is measured in a container.
func (a *App) measure(c mediastore.Container) error {
	if c.Metric == "" || c.Status != mediastore.StatusActive {
		a.telemetry.metrics.SetPolicy(c.Name, nil)
		return nil
	}
	policy, err := metricpolicy.Parse([]byte(c.Metric), metricpolicy.MaxRules)
	if err != nil {
		return errors.Join(fmt.Errorf("metric policy of %s", c.Name), err)
	}
	a.telemetry.metrics.SetPolicy(c.Name, policy)
	return nil
}
