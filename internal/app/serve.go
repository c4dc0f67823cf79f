package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"headwater/internal/httpapi"
	"headwater/internal/httpapi/controlapi"
	"headwater/internal/httpapi/dataapi"
	"headwater/internal/httpapi/eventsapi"
	"headwater/internal/httpapi/opsapi"
	"headwater/internal/httpapi/player"
	"headwater/internal/mediastore"
	"headwater/internal/wiremodel"
)

// Bounds on what a connection may take before a handler sees it.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	sendIdleTimeout   = 30 * time.Second
)

// listen binds the listener and builds the HTTP server around the edges.
func (a *App) listen() error {
	handler, err := a.handler()
	if err != nil {
		return err
	}
	a.server = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       httpapi.ConnContext,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	listener, err := net.Listen("tcp", a.config.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	a.listener = &httpapi.Listener{Listener: listener, SendIdle: sendIdleTimeout, Now: time.Now}
	if err := a.listenOperators(); err != nil {
		return err
	}
	if !a.config.TLS() {
		a.warnPlain()
		return nil
	}
	cert, err := tls.LoadX509KeyPair(a.config.TLSCert, a.config.TLSKey)
	if err != nil {
		return fmt.Errorf("TLS certificate: %w", err)
	}
	a.server.TLSConfig = &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	a.listener = tls.NewListener(a.listener, a.server.TLSConfig)
	return nil
}

// warnPlain tells when credentials and content would cross a network in the
// clear.
func (a *App) warnPlain() {
	addr, err := netip.ParseAddrPort(a.listener.Addr().String())
	if err == nil && !addr.Addr().IsLoopback() {
		a.log.Warn("listening beyond this machine without TLS", "listen", addr.String(), "hint", "set --tls-cert and --tls-key, or put a TLS proxy before it and name it in --trusted-proxies")
	}
}

// handler puts the edges together.
func (a *App) handler() (http.Handler, error) {
	page, err := player.Handler()
	if err != nil {
		return nil, fmt.Errorf("player page: %w", err)
	}
	authority := a.newAccess()
	adapter := &httpapi.Adapter{Log: a.log, Proxies: a.config.TrustedProxies, Now: time.Now, Observe: a.telemetry.metrics.HTTP}
	checkpoints, err := a.checkpointHandler(authority, adapter)
	if err != nil {
		return nil, err
	}
	a.events = eventsapi.New(eventsapi.Config{
		Access:  authority,
		Log:     a.engine,
		Render:  a.renderer(),
		Streams: eventsapi.DefaultStreams,
		Now:     time.Now,
	})
	control := &controlapi.API{
		Model:      wiremodel.ControlPlane(),
		Access:     authority,
		Containers: a.containers,
		Endpoint:   a.endpoint,
		Audit:      a.telemetry.call,
	}
	data := &dataapi.API{
		Access:     authority,
		Containers: a.containers,
		Objects:    a.objects,
		Timeouts: dataapi.Timeouts{
			Upload:     a.config.Quotas.UploadTimeout,
			UploadIdle: a.config.Quotas.UploadIdleTimeout,
		},
		Now:      time.Now,
		Answered: a.telemetry.request,
	}
	return &httpapi.Router{
		Domain: a.config.Domain,
		Operations: &opsapi.API{
			Ready:   a.ready,
			Metrics: adapter.Wrap("operations", opsapi.Guard(authority, "headwater:ReadMetrics", a.telemetry.metrics.Handler()), opsapi.WriteError),
			Events:  adapter.Wrap("events", a.events.Handle, eventsapi.WriteError),
			Player:  page,

			Checkpoints: checkpoints,
		},
		Control: adapter.Wrap("control", control.Handle, controlapi.WriteError),
		Data: func(id mediastore.ContainerID, path string) http.Handler {
			return adapter.Wrap("data", data.Handle(id, path), dataapi.WriteError)
		},
		Fallback: adapter.Wrap("none", nowhere, dataapi.WriteError),
	}, nil
}

// nowhere answers a request that names no container.
func nowhere(*httpapi.Response, *http.Request) error {
	return mediastore.Errorf(mediastore.KindContainerNotFound, "Container not found: the path must begin with a container's ID, as in its endpoint")
}

// endpoint is the address of a container's data plane, for the client that asks:
// at the public URL when there is one, else as it reaches this server.
func (a *App) endpoint(r *http.Request, client httpapi.Client, id mediastore.ContainerID) string {
	if a.config.PublicURL != "" {
		return a.publicEndpoint(id)
	}
	scheme := "http://"
	if client.Secure {
		scheme = "https://"
	}
	host := r.Host
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && host == "" {
		host = local.String() // HTTP/1.0 names none
	}
	return a.endpointAt(scheme, host, id)
}

// publicEndpoint is the address of a container's data plane for whom it may
// concern.
func (a *App) publicEndpoint(id mediastore.ContainerID) string {
	scheme, host, _ := strings.Cut(cmp.Or(a.config.PublicURL, a.URL()), "://")
	return a.endpointAt(scheme+"://", host, id)
}

// endpointAt is below the host, or under the domain when there is one.
func (a *App) endpointAt(scheme, host string, id mediastore.ContainerID) string {
	if a.config.Domain == "" {
		return scheme + host + "/" + string(id)
	}
	port := ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		port = host[i:]
	}
	return scheme + string(id) + ".data." + a.config.Domain + port
}

// ready reports whether the engine answers. A server that goes down takes no
// connections any more, which says the same.
func (a *App) ready(ctx context.Context) error {
	_, _, err := a.engine.ListContainers(ctx, a.config.Account, "", 1)
	return err
}
