package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// bucket is a backup in a bucket: <prefix>/<name> for each file, one PutObject each,
// and <prefix>/<manifest>. No file of a store comes near the 5 GiB that one takes.
type bucket struct {
	bucket string
	prefix string // ends with a slash, or is empty
	client *s3.Client
}

func openBucket(ctx context.Context, place string, o Options) (Place, error) {
	b := &bucket{}
	b.bucket, b.prefix, _ = strings.Cut(place, "/")
	if b.prefix = strings.Trim(b.prefix, "/"); b.prefix != "" {
		b.prefix += "/"
	}
	if b.bucket == "" {
		return nil, errors.New("s3:// must be followed by the name of a bucket, as in s3://bucket/prefix")
	}
	if u, err := url.Parse(o.Endpoint); o.Endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return nil, fmt.Errorf("the S3 endpoint must be an http or https URL")
	}
	cfg, err := load(ctx, o)
	if err != nil {
		return nil, err
	}
	b.client = s3.NewFromConfig(cfg, func(s *s3.Options) {
		if o.Endpoint != "" {
			s.BaseEndpoint = aws.String(o.Endpoint)
			s.UsePathStyle = true
		}
		// We send a digest of our own, and many stores know no other checksum.
		s.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		s.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	return b, nil
}

func load(ctx context.Context, o Options) (aws.Config, error) {
	var options []func(*config.LoadOptions) error
	if o.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(o.Profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, fmt.Errorf("load the AWS configuration for S3: %w", err)
	}
	if o.Region != "" {
		cfg.Region = o.Region
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // what stores that have no regions want to hear
	}
	return cfg, nil
}

func (b *bucket) String() string {
	return "s3://" + strings.TrimSuffix(b.bucket+"/"+b.prefix, "/")
}

// Check implements Place.
func (b *bucket) Check(ctx context.Context) error {
	found, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: aws.String(b.bucket), Prefix: aws.String(b.prefix), MaxKeys: aws.Int32(1),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", b, err)
	}
	if len(found.Contents) > 0 {
		return fmt.Errorf("%s is not empty: a backup needs a prefix of its own", b)
	}
	return nil
}

// keep uploads a file from where it lies, or by way of a temporary file: an upload
// that fails must be able to begin again, and the sum goes before the bytes.
func (b *bucket) keep(ctx context.Context, from *Source, f File, moved Moved) (Sum, error) {
	if file, ok := from.local(f); ok {
		defer file.Close()
		return b.keepLocal(ctx, file, f, moved)
	}
	room, err := os.MkdirTemp("", "headwater-backup-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(room) }()
	path := filepath.Join(room, "file")
	if _, err := from.fetch(ctx, f, path, unseen); err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return b.keepLocal(ctx, file, f, moved)
}

func (b *bucket) keepLocal(ctx context.Context, file *os.File, f File, moved Moved) (Sum, error) {
	sum, err := transfer(ctx, io.Discard, file, f, unseen)
	if err != nil {
		return "", err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if err := b.put(ctx, f.Name, file, f.Size, sum); err != nil {
		return "", err
	}
	moved(f.Size)
	return sum, nil
}

// unseen is for bytes that are only done once they are uploaded.
func unseen(int64) {}

func (b *bucket) put(ctx context.Context, name string, body io.ReadSeeker, size int64, sum Sum) error {
	raw, err := hex.DecodeString(string(sum))
	if err != nil {
		return err
	}
	_, err = b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:         aws.String(b.bucket),
		Key:            aws.String(b.prefix + name),
		Body:           body,
		ContentLength:  aws.Int64(size),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(raw)),
	})
	return err
}

func (b *bucket) finish(ctx context.Context, manifest []byte) error {
	sum := sha256.Sum256(manifest)
	return b.put(ctx, manifestName, bytes.NewReader(manifest), int64(len(manifest)), Sum(hex.EncodeToString(sum[:])))
}

// undo leaves the objects: whoever may put them may not be allowed to delete them.
func (b *bucket) undo() error {
	return fmt.Errorf("what was uploaded to %s is left there; it is not a backup, and can be deleted", b)
}

func (b *bucket) open(ctx context.Context, name string) (io.ReadCloser, error) {
	object, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(b.bucket), Key: aws.String(b.prefix + name)})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, err
	}
	return object.Body, nil
}
