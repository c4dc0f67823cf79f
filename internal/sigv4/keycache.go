package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"sync"
)

// KeyCache remembers derived signing keys: deriving one costs four MACs, and the
// same few serve a whole day. It is safe for concurrent use. A nil KeyCache
// remembers nothing.
type KeyCache struct {
	limit int
	mu    struct {
		sync.RWMutex
		keys map[cacheKey][sha256.Size]byte
	}
}

type cacheKey struct {
	secret string
	scope  scope
}

// NewKeyCache returns a cache of at most n keys.
func NewKeyCache(n int) *KeyCache {
	c := &KeyCache{limit: n}
	c.mu.keys = make(map[cacheKey][sha256.Size]byte)
	return c
}

func (c *KeyCache) signingKey(secret string, s scope) [sha256.Size]byte {
	if c == nil || c.limit <= 0 {
		return deriveKey(secret, s)
	}
	c.mu.RLock()
	key, ok := c.mu.keys[cacheKey{secret, s}]
	c.mu.RUnlock()
	if !ok {
		key = deriveKey(secret, s)
		c.add(secret, s, key)
	}
	return key
}

// add starts over when the cache is full. Yesterday's keys go that way, and
// those still in use are back with their next request.
func (c *KeyCache) add(secret string, s scope, key [sha256.Size]byte) {
	// The scope points into a request's header, which must not be kept alive.
	s = scope{strings.Clone(s.date), strings.Clone(s.region), strings.Clone(s.service)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.keys) >= c.limit {
		clear(c.mu.keys)
	}
	c.mu.keys[cacheKey{secret, s}] = key
}

func deriveKey(secret string, s scope) [sha256.Size]byte {
	h := hmac.New(sha256.New, []byte("AWS4"+secret))
	h.Write([]byte(s.date))
	key := [sha256.Size]byte(h.Sum(nil))
	for _, step := range [...]string{s.region, s.service, terminator} {
		key = sign(key, step)
	}
	return key
}
