package httpapi

import (
	"net/http"
	"strings"

	"headwater/internal/mediastore"
)

// Router decides what a request is, in this order: operations below /-/, a
// container's own host, the control plane, a container's path.
type Router struct {
	Domain     string // containers also answer at <id>.data.<Domain>; empty for path style only
	Operations http.Handler
	Control    http.Handler
	// Data answers for a container. The path it gets is the object's; the one
	// that was signed is still in r.URL.
	Data func(id mediastore.ContainerID, path string) http.Handler
	// Fallback answers what is none of these.
	Fallback http.Handler
}

// ServeHTTP implements http.Handler.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt.route(r).ServeHTTP(w, r)
}

func (rt *Router) route(r *http.Request) http.Handler {
	path := r.URL.Path
	if strings.HasPrefix(path, "/-/") {
		return rt.Operations
	}
	if id, ok := rt.hostContainer(r.Host); ok {
		return rt.Data(id, path)
	}
	if path == "/" && r.Method == http.MethodPost {
		return rt.Control
	}
	if id, rest, ok := pathContainer(path); ok {
		return rt.Data(id, rest)
	}
	return rt.Fallback
}

// hostContainer reads <id>.data.<domain>, with or without a port. Host names
// have no case.
func (rt *Router) hostContainer(host string) (mediastore.ContainerID, bool) {
	if rt.Domain == "" {
		return "", false
	}
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	id, ok := strings.CutSuffix(strings.ToLower(host), ".data."+rt.Domain)
	return mediastore.ContainerID(id), ok && mediastore.IsContainerID(id)
}

// pathContainer reads /<id>/<rest>. What is left of the path begins with a slash.
func pathContainer(path string) (mediastore.ContainerID, string, bool) {
	id, rest, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !mediastore.IsContainerID(id) {
		return "", "", false
	}
	if !found {
		return mediastore.ContainerID(id), "/", true
	}
	return mediastore.ContainerID(id), "/" + rest, true
}
