package dataapi

import (
	"net/http"

	"headwater/internal/cors"
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
	if answer, ok := c.container.Cors.Match(c.r.Header.Get("Origin"), c.r.Method); ok {
		grant(h, answer)
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
	answer, ok := c.container.Cors.Preflight(origin, method, c.r.Header.Values("Access-Control-Request-Headers"))
	if !ok {
		return mediastore.Errorf(mediastore.KindAccessDenied, "CORS: no rule of the container's CORS policy allows this origin, method and these headers")
	}
	grant(h, answer)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// grant writes the headers of an answer that allows a request.
func grant(h http.Header, a cors.Answer) {
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set("Access-Control-Allow-Origin", a.AllowOrigin)
	set("Access-Control-Allow-Methods", a.AllowMethods)
	set("Access-Control-Allow-Headers", a.AllowHeaders)
	set("Access-Control-Max-Age", a.MaxAge)
	set("Access-Control-Expose-Headers", a.ExposeHeaders)
}
