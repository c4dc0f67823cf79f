package archive

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"headwater/internal/mediastore"
)

// bucket is a tier in a bucket of an S3-compatible store: <prefix>/<name>, one
// PutObject each.
type bucket struct {
	place
	client   *s3.Client
	idle     interface{ CloseIdleConnections() }
	patience time.Duration // how long a stream may give nothing
}

const (
	// maxPut is what one PutObject takes, in bytes. AWS says so, and others too.
	maxPut = 5 << 30
	// dialTimeout is short, because it passes three times before a reader is told.
	dialTimeout = 5 * time.Second
	// patience is how long a store may take to begin an answer, and to go on.
	patience = 15 * time.Second
	// idleConnections are kept for the next readers. They come in crowds.
	idleConnections = 64
)

func openBucket(ctx context.Context, p place, o Options) (Store, error) {
	if err := checkEndpoint(o.Endpoint); err != nil {
		return nil, err
	}
	// Not frozen yet: the configuration may add certificates (AWS_CA_BUNDLE).
	client := awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) {
		d.Timeout = dialTimeout
	}).WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = patience
		t.MaxIdleConnsPerHost = idleConnections
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client))
	if err != nil {
		return nil, mediastore.Invalid("archive", "the AWS configuration cannot be read: %v", err)
	}
	if o.Region != "" {
		cfg.Region = o.Region
	}
	if cfg.Region == "" && o.Endpoint != "" {
		cfg.Region = "us-east-1" // what stores that have no regions want to hear
	}
	if cfg.Region == "" {
		return nil, mediastore.Invalid("archive region", "must be given for %s, by setting or by AWS_REGION", p)
	}
	return newBucket(p, o, cfg), nil
}

func checkEndpoint(s string) error {
	u, err := url.Parse(s)
	if s == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return nil
	}
	return mediastore.Invalid("archive endpoint", "%.100q must be a URL that begins http:// or https://", s)
}

func newBucket(p place, o Options, cfg aws.Config) *bucket {
	b := &bucket{place: p, patience: patience}
	b.client = s3.NewFromConfig(cfg, func(s *s3.Options) {
		// Frozen, the client is one whose connections can be closed.
		if c, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
			s.HTTPClient = c.Freeze()
		}
		b.idle, _ = s.HTTPClient.(interface{ CloseIdleConnections() })
		if o.Endpoint != "" {
			s.BaseEndpoint = aws.String(o.Endpoint)
		}
		s.UsePathStyle = o.PathStyle
		s.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(notIfClassified)}, r.Retryables...)
		})
		// We send a digest of our own, and many stores know no other checksum.
		s.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		s.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	return b
}

// notIfClassified keeps the SDK from sending a body again that was found wrong.
func notIfClassified(err error) aws.Ternary {
	if _, ok := errors.AsType[*mediastore.Error](err); ok {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// Put implements Store. The digest is the checksum by which the store verifies the
// body and is what is signed, so that the body is read once, whatever the scheme.
func (b *bucket) Put(ctx context.Context, name string, body io.Reader, size int64, sum [sha256.Size]byte) error {
	if _, _, err := splitName(name); err != nil {
		return err
	}
	if size > maxPut {
		return mediastore.Errorf(mediastore.KindTooLarge, "a bucket takes objects of at most %d bytes, and not of %d", int64(maxPut), size)
	}
	v, err := newVerified(ctx, body, size, sum)
	if err != nil {
		return failure("archive.put", err)
	}
	sent := rewinding(v)
	_, err = b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:         aws.String(b.bucket),
		Key:            aws.String(b.key(name)),
		Body:           sent,
		ContentLength:  aws.Int64(size),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}, func(s *s3.Options) {
		s.APIOptions = append(s.APIOptions, payloadHash(hex.EncodeToString(sum[:])))
		if _, ok := sent.(io.Seeker); !ok {
			s.Retryer = aws.NopRetryer{}
		}
	})
	if err != nil {
		return failure("archive.put", err)
	}
	return nil
}

// payloadHash tells the signer the body's digest, which it would read it for.
func payloadHash(sum string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("headwaterPayloadHash",
			func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				return next.HandleFinalize(v4.SetPayloadHash(ctx, sum), in)
			}), middleware.Before)
	}
}

// Open implements Store. It begins to read at once: most readers want everything,
// and whoever answers a client must know before the first byte that it is there.
func (b *bucket) Open(ctx context.Context, name string, size int64) (Reader, error) {
	if _, _, err := splitName(name); err != nil {
		return nil, err
	}
	r := newReader(ctx, b, name, size)
	if err := r.reopen(0); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Remove implements Store.
func (b *bucket) Remove(ctx context.Context, name string) error {
	if _, _, err := splitName(name); err != nil {
		return err
	}
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(b.bucket), Key: aws.String(b.key(name))})
	if err != nil && !isMissing(err) {
		return failure("archive.remove", err)
	}
	return nil
}

// isMissing reports whether a store says that there is no such object. That there
// is no such bucket is another matter.
func isMissing(err error) bool {
	_, ok := errors.AsType[*types.NoSuchKey](err)
	return ok
}

// Check implements Store.
func (b *bucket) Check(ctx context.Context) error { return check(ctx, b, b.String()) }

// Close implements Store.
func (b *bucket) Close() error {
	if b.idle != nil {
		b.idle.CloseIdleConnections()
	}
	return nil
}
