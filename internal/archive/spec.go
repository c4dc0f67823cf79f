package archive

import (
	"strings"

	"headwater/internal/mediastore"
)

// place is where a tier lies: a directory, or a bucket and a prefix in it.
type place struct {
	dir    string
	bucket string
	prefix string // elements joined by "/", with no slash at either end
}

// maxPrefix leaves room for a name in the 1024 bytes that a key may have.
const maxPrefix = 512

const lettersAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789"

// parse reads what Open is given.
func parse(spec string) (place, error) {
	if spec == "" || strings.ContainsRune(spec, 0) {
		return place{}, mediastore.Invalid("archive", "must be a directory or s3://bucket/prefix")
	}
	scheme, rest, ok := strings.Cut(spec, "://")
	if !ok {
		return place{dir: spec}, nil
	}
	if scheme != "s3" {
		return place{}, mediastore.Invalid("archive", "%.100q is neither a directory nor s3://bucket/prefix", spec)
	}
	bucket, prefix, _ := strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/")
	if !isBucket(bucket) {
		return place{}, mediastore.Invalid("archive", "the bucket %.100q must be 3 to 63 lower-case letters, digits, dots or hyphens, with a letter or digit at both ends", bucket)
	}
	if !isPrefix(prefix) {
		return place{}, mediastore.Invalid("archive", "the prefix %.100q must be at most %d letters, digits or _-.!()' in elements that are not empty, . or ..", prefix, maxPrefix)
	}
	return place{bucket: bucket, prefix: prefix}, nil
}

func isBucket(s string) bool {
	if len(s) < 3 || len(s) > 63 || strings.Trim(s, lettersAndDigits+".-") != "" {
		return false
	}
	return !strings.ContainsAny(s[:1]+s[len(s)-1:], ".-")
}

func isPrefix(s string) bool {
	if len(s) > maxPrefix {
		return false
	}
	if s == "" {
		return true
	}
	for element := range strings.SplitSeq(s, "/") {
		if element == "" || element == "." || element == ".." || strings.Trim(strings.ToLower(element), lettersAndDigits+"_-.!()'") != "" {
			return false
		}
	}
	return true
}

// String is p as parse reads it.
func (p place) String() string {
	if p.dir != "" {
		return p.dir
	}
	return strings.TrimSuffix("s3://"+p.bucket+"/"+p.prefix, "/")
}

// key is the name of an object in the bucket.
func (p place) key(name string) string {
	return strings.TrimPrefix(p.prefix+"/"+name, "/")
}
