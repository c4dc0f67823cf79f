package dataapi

import (
	"net/http"
	"strings"

	"headwater/internal/mediastore"
)

// allowOrigin adds the CORS headers to whatever the answer will be. Every answer
// of a container that has a CORS policy says that it varies, so that a cache does
// not give one origin's answer to another.
func (c *call) allowOrigin() {
	if c.container.Cors == nil {
		return
	}
	h := c.w.Header()
	h.Add("Vary", "Origin")
	origin := c.r.Header.Get("Origin")
	if origin == "" {
		return
	}
	if grant, ok := c.container.Cors.Match(origin, c.r.Method); ok {
		grant.WriteTo(h)
	}
}

// options answers a preflight request (Fetch standard, section 3.2). Browsers
// send it without credentials, so nobody is asked who they are.
func (c *call) options() error {
	h := c.w.Header()
	h.Add("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	origin, method := c.r.Header.Get("Origin"), c.r.Header.Get("Access-Control-Request-Method")
	if origin == "" || method == "" {
		h.Set("Allow", allowedMethods)
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if c.container.Cors == nil {
		return mediastore.Errorf(mediastore.KindAccessDenied, "CORS: the container has no CORS policy")
	}
	grant, ok := c.container.Cors.Preflight(origin, method, requestedHeaders(c.r.Header))
	if !ok {
		return mediastore.Errorf(mediastore.KindAccessDenied, "CORS: no rule of the container's CORS policy allows this origin, method and these headers")
	}
	grant.WriteTo(h)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func requestedHeaders(h http.Header) []string {
	var names []string
	for _, line := range h.Values("Access-Control-Request-Headers") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}
