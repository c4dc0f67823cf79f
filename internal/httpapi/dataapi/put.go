package dataapi

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"regexp"
	"time"

	"headwater/internal/access"
	"headwater/internal/event"
	"headwater/internal/mediastore"
	"headwater/internal/objects"
)

// putResult is the structure PutObjectResponse.
type putResult struct {
	ContentSHA256 string
	ETag          mediastore.ETag
	StorageClass  mediastore.StorageClass
}

func (c *call) putObject() error {
	path, err := c.objectPath()
	if err != nil {
		return err
	}
	caller, err := c.authorize("mediastore:PutObject", string(path))
	if err != nil {
		return err
	}
	req, err := c.putRequest(path, caller)
	if err != nil {
		return err
	}
	body := c.timedBody()
	defer body.end()
	req.Body = body
	obj, err := c.api.Objects.Put(c.r.Context(), req)
	if err != nil {
		return err
	}
	if !caller.Anonymous() {
		c.fact.Requester = caller.Principal.ARN // which is certain only now, when the caller was unverified
	}
	c.fact.ExpiresAt = obj.ExpiresAt
	return writeJSON(c.w, http.StatusOK, putResult{hex.EncodeToString(obj.SHA256[:]), obj.ETag, obj.StorageClass()})
}

// putRequest reads the headers of a PutObject.
func (c *call) putRequest(path mediastore.Path, caller *access.Caller) (req objects.PutRequest, err error) {
	h := c.r.Header
	req = objects.PutRequest{
		Container:    c.container.ID,
		Path:         path,
		Size:         c.r.ContentLength,
		ContentType:  h.Get("Content-Type"),
		CacheControl: h.Get("Cache-Control"),
		Expiry:       c.expiry(path),
		Unverified:   caller.Unverified(),
		VerifyBody:   caller.VerifyBody,
	}
	if err := checkContentType(req.ContentType); err != nil {
		return req, err
	}
	if len(req.CacheControl) > maxCacheControl {
		return req, mediastore.Invalid("Cache-Control", "has %d characters: at most %d are allowed", len(req.CacheControl), maxCacheControl)
	}
	if class := c.option("X-Amz-Storage-Class"); class != "" && class != string(mediastore.ClassTemporal) {
		return req, mediastore.Invalid("x-amz-storage-class", "must be %s", mediastore.ClassTemporal)
	}
	if req.Streaming, err = parseAvailability(c.option("X-Amz-Upload-Availability")); err != nil {
		return req, err
	}
	if req.MD5, err = parseMD5(h.Get("Content-MD5")); err != nil {
		return req, err
	}
	if req.SHA256, err = parseSHA256(h.Get("x-amz-content-sha256")); err != nil {
		return req, err
	}
	req.Precondition, err = parsePrecondition(h)
	return req, err
}

// expiry returns when an object at the path that is stored at a moment is gone by
// a transient lifecycle rule. It asks the policy that is in force when it is
// called, which need not be that of the request's beginning.
func (c *call) expiry(path mediastore.Path) func(time.Time) time.Time {
	return func(stored time.Time) time.Time {
		now, err := c.api.Containers.Snapshot(c.r.Context(), c.container.ID)
		if err != nil || now.Lifecycle == nil { // what is wrong with the container, the engine says
			return time.Time{}
		}
		at, _ := now.Lifecycle.TransientExpiry(path, stored)
		return at
	}
}

// option reads one of the operation's own headers. Some SDKs move them into the
// query when they presign.
func (c *call) option(name string) string {
	value := c.r.Header.Get(name)
	if value == "" && c.r.URL.RawQuery != "" {
		value = c.r.URL.Query().Get(name)
	}
	return value
}

// maxCacheControl bounds what is stored verbatim, in characters.
const maxCacheControl = 1024

// plainType is the model's pattern. Parameters, which encoders send, are taken
// too.
var plainType = regexp.MustCompile(`^[\w\-/.+]{1,255}$`)

func checkContentType(s string) error {
	if s == "" || plainType.MatchString(s) {
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(s)
	if err != nil || len(s) > 255 || !plainType.MatchString(mediaType) {
		return mediastore.Invalid("Content-Type", "must be a media type of at most 255 letters, digits and _-/.+, with or without parameters")
	}
	return nil
}

func parseAvailability(s string) (streaming bool, err error) {
	switch s {
	case "", "STANDARD":
		return false, nil
	case "STREAMING":
		return true, nil
	default:
		return false, mediastore.Invalid("x-amz-upload-availability", "must be STANDARD or STREAMING")
	}
}

func parseMD5(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(sum) != 16 {
		return nil, mediastore.Invalid("Content-MD5", "must be 16 bytes in base64 (RFC 1864)")
	}
	return sum, nil
}

func parseSHA256(s string) ([]byte, error) {
	if s == "" || s == "UNSIGNED-PAYLOAD" {
		return nil, nil
	}
	sum, err := hex.DecodeString(s)
	if err != nil || len(sum) != 32 {
		return nil, mediastore.Invalid("x-amz-content-sha256", "must be 64 hexadecimal digits or UNSIGNED-PAYLOAD")
	}
	return sum, nil
}

// timedBody is the body of an upload, whose client must neither pause for too
// long nor take too long in all.
type timedBody struct {
	body     io.Reader
	fact     *event.Request // is told what came, and when
	control  *http.ResponseController
	now      func() time.Time
	idle     time.Duration
	deadline time.Time // of the whole body, zero for none
}

func (c *call) timedBody() *timedBody {
	b := &timedBody{
		body:    c.r.Body,
		fact:    c.fact,
		control: http.NewResponseController(c.w),
		now:     c.api.Now,
		idle:    c.api.Timeouts.UploadIdle,
	}
	if d := c.api.Timeouts.Upload; d > 0 {
		b.deadline = b.now().Add(d)
	}
	return b
}

func (b *timedBody) Read(p []byte) (int, error) {
	// A connection without deadlines is none that can be slow.
	_ = b.control.SetReadDeadline(b.next())
	n, err := b.body.Read(p)
	b.fact.BytesReceived += int64(n)
	if err != nil {
		b.fact.BodyRead = b.now()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &mediastore.Error{Op: "dataapi.put", Kind: mediastore.KindTimeout, Message: "The upload did not go on in time", Err: err}
	}
	return n, err
}

// next returns until when the next bytes must come, zero for no bound.
func (b *timedBody) next() time.Time {
	if b.idle <= 0 {
		return b.deadline
	}
	t := b.now().Add(b.idle)
	if !b.deadline.IsZero() && b.deadline.Before(t) {
		return b.deadline
	}
	return t
}

// end takes the deadline off the connection, which goes on.
func (b *timedBody) end() { _ = b.control.SetReadDeadline(time.Time{}) }
