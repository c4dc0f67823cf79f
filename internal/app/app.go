// Package app is the program as a value: it builds the engine, the services and
// the edges, runs them and takes them down.
//
// It is the only room that names a concrete engine, and it decides nothing that
// a room below could decide.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"headwater/internal/access"
	"headwater/internal/archive"
	"headwater/internal/config"
	"headwater/internal/containers"
	"headwater/internal/engine"
	"headwater/internal/engine/logstore"
	"headwater/internal/engine/memory"
	"headwater/internal/httpapi/backupapi"
	"headwater/internal/httpapi/eventsapi"
	"headwater/internal/mediastore"
	"headwater/internal/objects"
	"headwater/internal/sweep"
	"headwater/internal/telemetry/notify"
)

// App is one server. Run it once, then Close it.
type App struct {
	config     config.Config
	process    Process
	log        *slog.Logger
	engine     engine.Engine
	root       rootKey
	telemetry  telemetry
	archive    archive.Store // nil when there is no cold tier
	sweeper    *sweep.Sweeper
	containers *containers.Service
	objects    *objects.Service
	events     *eventsapi.API
	backups    *backupapi.API // nil when the engine makes no checkpoints
	notify     *notify.Service
	listener   net.Listener
	server     *http.Server
	operators  *operatorsListener // nil when there is none of their own
}

// Process is what a server gets from the process that it runs in.
type Process struct {
	Log     *slog.Logger
	Stdout  io.Writer // for logs that are to go there
	Version string    // of the program, may be empty
}

// Open builds a server and binds its listeners. Nothing is answered before Run.
func Open(c config.Config, p Process) (_ *App, err error) {
	a := &App{config: c, process: p, log: p.Log}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	for _, step := range []func() error{
		a.openEngine, a.openRootKey, a.openTelemetry, a.openArchive, a.openServices, a.listen, a.openNotify,
	} {
		if err := step(); err != nil {
			return nil, plainly(err)
		}
	}
	return a, nil
}

func (a *App) openRootKey() (err error) {
	a.root, err = loadRootKey(a.config)
	return err
}

// openServices builds the use cases, and takes up what an earlier run has left.
func (a *App) openServices() error {
	a.sweeper = a.newSweeper()
	a.containers = containers.New(containers.Config{
		Engine:  a.engine,
		Region:  a.config.Region,
		Quotas:  containers.Quotas{Containers: a.config.Quotas.Containers, MetricRules: a.config.Quotas.MetricRules},
		Now:     time.Now,
		NewID:   newContainerID,
		Log:     a.log,
		Changed: a.containerChanged,
		Expire:  a.sweeper.ExpireDue,
	})
	a.objects = a.newObjects()
	a.telemetry.metrics.Uploads(a.config.Quotas.Uploads, a.objects.Uploads, a.objects.Followers)
	if err := a.containers.Resume(context.Background(), a.config.Account); err != nil {
		return fmt.Errorf("take up container changes of an earlier run: %w", err)
	}
	return a.eachContainer(context.Background(), a.measure)
}

func (a *App) openEngine() error {
	if a.config.Engine == config.EngineMemory {
		a.engine = memory.New()
		return nil
	}
	if err := os.MkdirAll(a.config.Data, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	e, err := logstore.Open(logstore.Options{
		Dir:     filepath.Join(a.config.Data, storeDir),
		Log:     a.log,
		OnGroup: func(operations int) { a.telemetry.group(operations) },
	})
	if err != nil {
		return err
	}
	a.engine = e
	return nil
}

// plainly is err as a sentence for an operator, when there is one.
func plainly(err error) error {
	var e *mediastore.Error
	if errors.As(err, &e) && e.Message != "" {
		return errors.New(e.Message)
	}
	return err
}

// newContainerID makes a container's name on the data plane: 70 random bits,
// which do not repeat.
func newContainerID() mediastore.ContainerID {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	var b [mediastore.ContainerIDLength]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return mediastore.ContainerID(b[:])
}

func (a *App) newObjects() *objects.Service {
	q := a.config.Quotas
	return objects.New(objects.Config{
		Engine: a.engine,
		Quotas: objects.Quotas{
			Path:          q.Path,
			ObjectSize:    int64(q.ObjectSize),
			StreamingSize: int64(q.StreamingSize),
			Uploads:       q.Uploads,
		},
		Now:          time.Now,
		Random:       rand.Reader,
		OpenArchived: a.openArchived(),
	})
}

func (a *App) newAccess() *access.Service {
	return access.New(access.Config{
		Account: a.config.Account,
		Region:  a.config.Region,
		Root:    a.root.Key,
		Now:     time.Now,
	})
}

// RootKey returns the root user's access key pair.
func (a *App) RootKey() access.Key { return a.root.Key }

// RootKeyGenerated reports whether this run made the key pair up. It is to be
// shown once, then: later it is only in RootKeyFile.
func (a *App) RootKeyGenerated() bool { return a.root.generated }

// RootKeyFile names the file that keeps a generated key pair, empty when there
// is none.
func (a *App) RootKeyFile() string { return a.root.file }

// URL returns the server's own address.
func (a *App) URL() string {
	scheme := "http://"
	if a.config.TLS() {
		scheme = "https://"
	}
	return scheme + a.listener.Addr().String()
}

// Run serves until ctx ends. Then it takes no new connections, gives what is
// under way the drain timeout, cuts the rest off and returns nil. What goes on in
// the background goes on until then.
func (a *App) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, run := range a.background() {
		running.Go(func() { run(background) })
	}
	serving := make(chan error, 1)
	go func() { serving <- a.server.Serve(a.listener) }()
	select {
	case err := <-serving:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	a.drain(ctx)
	//nolint:errcheck // it is http.ErrServerClosed by now
	<-serving
	return nil
}

// background returns what runs beside the server.
func (a *App) background() []func(context.Context) {
	all := []func(context.Context){a.sweeper.Run, a.notify.Run}
	if a.telemetry.cloudwatch != nil {
		all = append(all, a.telemetry.cloudwatch.Run)
	}
	if a.archive != nil {
		all = append(all, a.checkArchive)
	}
	if a.operators != nil {
		all = append(all, a.operators.run)
	}
	if a.backups != nil {
		all = append(all, a.backups.Run)
	}
	return all
}

func (a *App) drain(ctx context.Context) {
	a.log.Info("draining", "timeout", a.config.DrainTimeout)
	a.events.Close()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.DrainTimeout)
	defer cancel()
	if err := a.server.Shutdown(drain); err != nil {
		a.log.Warn("requests were cut off at the end of the drain timeout")
		a.server.Close()
	}
}

// Close releases everything.
func (a *App) Close() error {
	var errs []error
	if a.listener != nil {
		a.server.Close()
		a.listener.Close()
	}
	if a.operators != nil {
		a.operators.close()
	}
	if a.containers != nil {
		errs = append(errs, a.containers.Close())
	}
	errs = append(errs, a.telemetry.close())
	if a.archive != nil {
		errs = append(errs, a.archive.Close())
	}
	if a.engine != nil {
		errs = append(errs, a.engine.Close())
	}
	return errors.Join(errs...)
}

var _ io.Closer = (*App)(nil)
