package dataapi

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

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
	c.w.WriteHeader(status)
	return newSender(c).send(v, from, n)
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
	return newSender(c).send(v, from, n)
}

// follow sends the upload from an offset to its end, chunk by chunk as they
// come. When it breaks off, so does the answer.
func (c *call) follow(v *objects.Version, status int, off int64) error {
	c.w.WriteHeader(status)
	s := newSender(c)
	for {
		available, err := v.Wait(c.r.Context(), off)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.send(v, off, available-off); err != nil {
			return err
		}
		if err := s.control.Flush(); err != nil {
			return err
		}
		off = available
	}
}

// sender copies bytes to one client and gives up on it when it takes none for
// too long.
type sender struct {
	w       *httpapi.Response
	control *http.ResponseController
	idle    time.Duration
	now     func() time.Time
}

func newSender(c *call) *sender {
	return &sender{
		w:       c.w,
		control: http.NewResponseController(c.w),
		idle:    c.api.Timeouts.SendIdle,
		now:     c.api.Now,
	}
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// send sends n bytes from an offset. It holds no lock while it writes.
func (s *sender) send(from io.ReaderAt, off, n int64) error {
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	for n > 0 {
		chunk := buf[:min(n, int64(len(buf)))]
		if got, err := from.ReadAt(chunk, off); got < len(chunk) {
			return err
		}
		if err := s.write(chunk); err != nil {
			return err
		}
		off, n = off+int64(len(chunk)), n-int64(len(chunk))
	}
	return nil
}

func (s *sender) write(p []byte) error {
	if s.idle > 0 {
		// A connection without deadlines is none that can be slow.
		_ = s.control.SetWriteDeadline(s.now().Add(s.idle))
	}
	_, err := s.w.Write(p)
	return err
}
