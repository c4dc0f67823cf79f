package dataapi

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"headwater/internal/engine"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
	"headwater/internal/objects"
)

func (c *call) describeObject() error {
	path, err := c.objectPath()
	if err != nil {
		return err
	}
	if _, err := c.authorize("mediastore:DescribeObject", string(path)); err != nil {
		return err
	}
	cond, err := parseConditions(c.r.Header)
	if err != nil {
		return err
	}
	obj, inFlight, err := c.api.Objects.Describe(c.r.Context(), c.container.ID, path)
	if err != nil {
		return err
	}
	c.describe(&obj)
	if err := cond.Check(&obj); err != nil {
		return err
	}
	if !inFlight {
		c.w.Header().Set("Content-Length", strconv.FormatInt(obj.Size, 10))
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// describe sets the headers that say which version this is.
func (c *call) describe(obj *mediastore.Object) {
	c.fact.ExpiresAt = obj.ExpiresAt
	h := c.w.Header()
	h["Etag"] = []string{string(obj.ETag)}
	h["Last-Modified"] = []string{obj.LastModified.UTC().Format(http.TimeFormat)}
	h["Content-Type"] = []string{obj.ContentType}
	h["Accept-Ranges"] = []string{"bytes"}
	if obj.CacheControl != "" {
		h["Cache-Control"] = []string{obj.CacheControl}
	}
	if obj.InfrequentAccess { // not in the model, so that SDKs leave it out
		h["X-Amz-Storage-Class"] = []string{string(obj.StorageClass())}
	}
}

func (c *call) getObject() error {
	path, err := c.objectPath()
	if err != nil {
		return err
	}
	if _, err := c.authorize("mediastore:GetObject", string(path)); err != nil {
		return err
	}
	cond, err := parseConditions(c.r.Header)
	if err != nil {
		return err
	}
	v, err := c.open(path)
	if err != nil {
		return err
	}
	defer v.Close()
	c.describe(&v.Object)
	if err := cond.Check(&v.Object); err != nil {
		return err
	}
	if v.InFlight() {
		return c.sendInFlight(v)
	}
	return c.sendComplete(v)
}

// open opens what there is to read at path. An upload that breaks off before its
// first byte is sent was never there: the reader gets the previous version.
func (c *call) open(path mediastore.Path) (*objects.Version, error) {
	for {
		v, err := c.api.Objects.Open(c.r.Context(), c.container.ID, path)
		if err != nil || !v.InFlight() {
			return v, err
		}
		if _, err = v.Wait(c.r.Context(), 0); err == nil {
			return v, nil
		}
		v.Close()
		if !mediastore.IsKind(err, mediastore.KindUnavailable) {
			return nil, err
		}
	}
}

// sendComplete sends a version, or the part of it that was asked for.
func (c *call) sendComplete(v *objects.Version) error {
	size := v.Object.Size
	status, from, n := http.StatusOK, int64(0), size
	if spec := c.r.Header.Get("Range"); spec != "" && rangeApplies(c.r.Header, &v.Object) {
		r, err := parseRange(spec)
		if err == nil {
			from, n, err = r.of(size)
		}
		if err != nil {
			c.w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
			return err
		}
		status = http.StatusPartialContent
		c.w.Header().Set("Content-Range", contentRange(from, from+n-1, size))
	}
	c.w.Header()["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	if n <= holdUpTo {
		httpapi.Hold(c.r)
	}
	c.w.WriteHeader(status)
	return c.send(v, from, n)
}

// sendInFlight sends an upload under way. A range of it is answered as RFC 8673
// says, but bytes=0- is the whole: players and encoders send it without meaning
// a range, and must not take what there is by now for all.
func (c *call) sendInFlight(v *objects.Version) error {
	spec := c.r.Header.Get("Range")
	if spec == "" || spec == "bytes=0-" || !rangeApplies(c.r.Header, &v.Object) {
		return c.follow(v, http.StatusOK, 0)
	}
	r, err := parseRange(spec)
	if err != nil {
		return err
	}
	if r.first < 0 { // nobody knows yet where the last bytes begin
		return c.follow(v, http.StatusOK, 0)
	}
	available, err := v.Wait(c.r.Context(), r.first)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return errRange("begins after the object's end")
		}
		return err
	}
	if r.last >= veryLarge {
		c.w.Header().Set("Content-Range", contentRange(r.first, r.last, -1))
		return c.follow(v, http.StatusPartialContent, r.first)
	}
	from, n, err := r.of(available)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Range", contentRange(from, from+n-1, -1))
	c.w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	c.w.WriteHeader(http.StatusPartialContent)
	return c.send(v, from, n)
}

// follow sends the upload from an offset to its end, chunk by chunk as they
// come. When it breaks off, so does the answer.
func (c *call) follow(v *objects.Version, status int, off int64) error {
	c.w.WriteHeader(status)
	control := http.NewResponseController(c.w)
	for {
		available, err := v.Wait(c.r.Context(), off)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		httpapi.Hold(c.r)
		if err := c.send(v, off, available-off); err != nil {
			return err
		}
		if err := cmp.Or(control.Flush(), httpapi.Release(c.r)); err != nil {
			return err
		}
		off = available
	}
}

// Sizes in bytes by which an answer is sent one way or another.
const (
	holdUpTo     = 32 << 10 // with its head, in one write
	sendFileFrom = 64 << 10 // from the page cache to the connection
)

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// send sends n bytes from an offset. It holds no lock while it writes.
func (c *call) send(v *objects.Version, off, n int64) error {
	if n >= sendFileFrom {
		if sections, ok := v.Sections(off, n); ok {
			return c.sendFile(sections)
		}
	}
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	for n > 0 {
		chunk := buf[:min(n, int64(len(buf)))]
		if got, err := v.ReadAt(chunk, off); got < len(chunk) {
			return err
		}
		if _, err := c.w.Write(chunk); err != nil {
			return err
		}
		off, n = off+int64(len(chunk)), n-int64(len(chunk))
	}
	return nil
}

func (c *call) sendFile(sections []engine.Section) error {
	for _, s := range sections {
		if err := c.w.SendFile(&httpapi.FileSection{File: s.File, FD: s.FD, Offset: s.Offset, Length: s.Length}); err != nil {
			return err
		}
	}
	return nil
}
