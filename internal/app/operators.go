package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"headwater/internal/httpapi/opsapi"
)

// operatorsListener answers operators' questions on an address of their own,
// where nobody asks for credentials.
type operatorsListener struct {
	listener net.Listener
	server   *http.Server
	log      *slog.Logger
}

// listenOperators binds it, when it is configured.
func (a *App) listenOperators() error {
	if a.config.Metrics.Listen == "" {
		return nil
	}
	listener, err := net.Listen("tcp", a.config.Metrics.Listen)
	if err != nil {
		return fmt.Errorf("metrics-listen: %w", err)
	}
	a.operators = &operatorsListener{
		listener: listener,
		log:      a.log,
		server: &http.Server{
			Handler:           &opsapi.API{Ready: a.ready, Metrics: a.telemetry.metrics.Handler()},
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       time.Minute,
			WriteTimeout:      time.Minute,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		},
	}
	a.log.Info("metrics are served", "listen", listener.Addr().String())
	return nil
}

func (o *operatorsListener) run(ctx context.Context) {
	context.AfterFunc(ctx, o.close)
	if err := o.server.Serve(o.listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		o.log.Error("metrics are not served any more", "error", err)
	}
}

func (o *operatorsListener) close() {
	o.server.Close()
	o.listener.Close()
}
