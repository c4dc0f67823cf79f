package containers

import (
	"context"
	"maps"
	"slices"
	"strings"

	"headwater/internal/mediastore"
)

// maxTags is how many tags a container may carry.
const maxTags = 50

// Tags returns the tags of a container.
func (s *Service) Tags(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName) ([]mediastore.Tag, error) {
	c, err := s.active(ctx, account, name)
	return c.Tags, err
}

// Tag adds tags to a container, or gives those that it carries a new value.
func (s *Service) Tag(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, tags []mediastore.Tag) error {
	return s.update(ctx, account, name, func(c *mediastore.Container) error {
		merged, err := mergeTags(c.Tags, tags)
		c.Tags = merged
		return err
	})
}

// Untag removes tags by key. Keys that the container does not carry are no
// error.
func (s *Service) Untag(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, keys []string) error {
	return s.update(ctx, account, name, func(c *mediastore.Container) error {
		c.Tags = slices.DeleteFunc(c.Tags, func(t mediastore.Tag) bool { return slices.Contains(keys, t.Key) })
		return nil
	})
}

// mergeTags returns the tags that a container carries after it was given more.
func mergeTags(have, more []mediastore.Tag) ([]mediastore.Tag, error) {
	byKey := make(map[string]string, len(have)+len(more))
	for _, t := range more {
		if _, twice := byKey[t.Key]; twice {
			return nil, mediastore.Invalid("tags", "the key %q is given twice", t.Key)
		}
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, mediastore.Invalid("tags", "the key %q begins with aws:, which is reserved", t.Key)
		}
		byKey[t.Key] = t.Value
	}
	for _, t := range have {
		if _, replaced := byKey[t.Key]; !replaced {
			byKey[t.Key] = t.Value
		}
	}
	if len(byKey) > maxTags {
		return nil, mediastore.Invalid("tags", "the container would carry %d tags: at most %d are allowed", len(byKey), maxTags)
	}
	var tags []mediastore.Tag
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		tags = append(tags, mediastore.Tag{Key: key, Value: byKey[key]})
	}
	return tags, nil
}
