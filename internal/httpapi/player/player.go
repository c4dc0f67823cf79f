// Package player is the page that plays an HLS stream in a browser and says how
// it goes. It is served by the program itself and needs nothing from elsewhere.
//
// It must not know a container or an object: the page reads streams over HTTP
// like any other client, from this server or another.
package player

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

// Prefix is where the page lies. "?src=" names the playlist to play.
const Prefix = "/-/player/"

//go:embed assets
var assets embed.FS

// contentSecurityPolicy lets the page run its own script and styles only, and
// reach any server for media: which one is the viewer's choice. The player makes
// the worker and the video's source itself (blob:).
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src http: https:; media-src http: https: blob:; worker-src blob:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'self'"

// contentTypes holds one for every suffix among the assets.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// asset is one file of the page.
type asset struct {
	name string
	body []byte
	etag string // quoted (RFC 9110, section 8.8.3)
}

// handler serves the assets by their name below Prefix.
type handler map[string]asset

// Handler returns the handler of everything below Prefix.
func Handler() (http.Handler, error) {
	entries, err := assets.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	h := handler{}
	for _, e := range entries {
		body, err := assets.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(body)
		h[e.Name()] = asset{name: e.Name(), body: body, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
	}
	h[""] = h["index.html"]
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the method must be GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, Prefix)
	a, found := h[name]
	if !ok || !found {
		http.Error(w, "the player has no such file", http.StatusNotFound)
		return
	}
	a.serve(w, r)
}

// serve answers with the asset, or with 304 when the client has it already. A
// client asks each time: a new version of the program shows at once.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", contentTypes[path.Ext(a.name)])
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "strict-origin") // the address may carry a signature
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", a.etag)
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.body))
}
