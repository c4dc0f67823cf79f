package containers

import (
	"context"

	"headwater/internal/cors"
	"headwater/internal/lifecycle"
	"headwater/internal/mediastore"
	"headwater/internal/metricpolicy"
	"headwater/internal/policy"
)

// Document is one of the four documents that a container can carry.
type Document int

// The documents.
const (
	ContainerPolicy Document = iota
	CorsPolicy
	LifecyclePolicy
	MetricPolicy
)

// field returns where a container keeps the document.
func (d Document) field(c *mediastore.Container) *string {
	switch d {
	case CorsPolicy:
		return &c.Cors
	case LifecyclePolicy:
		return &c.Lifecycle
	case MetricPolicy:
		return &c.Metric
	default:
		return &c.Policy
	}
}

// validate parses the document: what would not be carried out is not stored.
func (d Document) validate(text string, quotas Quotas) error {
	var err error
	switch d {
	case CorsPolicy:
		_, err = cors.Parse([]byte(text))
	case LifecyclePolicy:
		_, err = lifecycle.Parse([]byte(text))
	case MetricPolicy:
		_, err = metricpolicy.Parse([]byte(text), quotas.MetricRules)
	default:
		_, err = policy.Parse([]byte(text))
	}
	return err
}

// absent is the error for a document that the container does not carry.
func (d Document) absent(name mediastore.ContainerName) error {
	if d == CorsPolicy {
		return mediastore.Errorf(mediastore.KindCorsPolicyNotFound, "The container has no CORS policy: %s", name)
	}
	return mediastore.Errorf(mediastore.KindPolicyNotFound, "The container has no such policy: %s", name)
}

// Document returns a document as it was put.
func (s *Service) Document(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, d Document) (string, error) {
	c, err := s.active(ctx, account, name)
	if err != nil {
		return "", err
	}
	text := *d.field(&c)
	if text == "" {
		return "", d.absent(name)
	}
	return text, nil
}

// PutDocument replaces a document. It is carried out from the next request on.
func (s *Service) PutDocument(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, d Document, text string) error {
	if err := d.validate(text, s.Quotas); err != nil {
		return err
	}
	return s.update(ctx, account, name, func(c *mediastore.Container) error {
		*d.field(c) = text
		return nil
	})
}

// DeleteDocument removes a document.
func (s *Service) DeleteDocument(ctx context.Context, account mediastore.AccountID, name mediastore.ContainerName, d Document) error {
	return s.update(ctx, account, name, func(c *mediastore.Container) error {
		if *d.field(c) == "" {
			return d.absent(name)
		}
		*d.field(c) = ""
		return nil
	})
}
