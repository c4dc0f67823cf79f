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
	"time"

	"headwater/internal/access"
	"headwater/internal/config"
	"headwater/internal/containers"
	"headwater/internal/engine"
	"headwater/internal/engine/logstore"
	"headwater/internal/engine/memory"
	"headwater/internal/mediastore"
	"headwater/internal/objects"
)

// App is one server. Run it once, then Close it.
type App struct {
	config     config.Config
	log        *slog.Logger
	engine     engine.Engine
	root       rootKey
	containers *containers.Service
	listener   net.Listener
	server     *http.Server
}

// Open builds a server and binds its listener. Nothing is answered before Run.
func Open(c config.Config, log *slog.Logger) (_ *App, err error) {
	a := &App{config: c, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.engine, err = openEngine(c, log); err != nil {
		return nil, err
	}
	if a.root, err = loadRootKey(c); err != nil {
		return nil, err
	}
	a.containers = containers.New(containers.Config{
		Engine: a.engine,
		Region: c.Region,
		Quotas: containers.Quotas{Containers: c.Quotas.Containers, MetricRules: c.Quotas.MetricRules},
		Now:    time.Now,
		NewID:  newContainerID,
		Log:    log,
	})
	if err := a.containers.Resume(context.Background(), c.Account); err != nil {
		return nil, fmt.Errorf("take up container changes of an earlier run: %w", err)
	}
	if err := a.listen(); err != nil {
		return nil, err
	}
	return a, nil
}

func openEngine(c config.Config, log *slog.Logger) (engine.Engine, error) {
	if c.Engine == config.EngineMemory {
		return memory.New(), nil
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	e, err := logstore.Open(logstore.Options{Dir: filepath.Join(c.Data, "store"), Log: log})
	if err != nil {
		return nil, plainly(err) // and no engine: a nil *logstore.Engine would look like one
	}
	return e, nil
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
	return objects.New(a.engine, objects.Quotas{
		Path:          q.Path,
		ObjectSize:    int64(q.ObjectSize),
		StreamingSize: int64(q.StreamingSize),
		Uploads:       q.Uploads,
	}, time.Now, rand.Reader)
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
// under way the drain timeout, cuts the rest off and returns nil.
func (a *App) Run(ctx context.Context) error {
	serving := make(chan error, 1)
	go func() { serving <- a.server.Serve(a.listener) }()
	select {
	case err := <-serving:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	a.log.Info("draining", "timeout", a.config.DrainTimeout)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.DrainTimeout)
	defer cancel()
	if err := a.server.Shutdown(drain); err != nil {
		a.log.Warn("requests were cut off at the end of the drain timeout")
		a.server.Close()
	}
	//nolint:errcheck // it is http.ErrServerClosed by now
	<-serving
	return nil
}

// Close releases everything.
func (a *App) Close() error {
	var errs []error
	if a.listener != nil {
		a.server.Close()
		a.listener.Close()
	}
	if a.containers != nil {
		errs = append(errs, a.containers.Close())
	}
	if a.engine != nil {
		errs = append(errs, a.engine.Close())
	}
	return errors.Join(errs...)
}

var _ io.Closer = (*App)(nil)
