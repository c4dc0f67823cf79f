package sweep

import "context"

// ExpireDue removes everything that has expired by now, for who cannot wait until
// the expirer does.
func (s *Sweeper) ExpireDue(ctx context.Context) error {
	for {
		found, left, err := s.expire(ctx, maxBatch)
		if err != nil || left > 0 || found < maxBatch {
			return err
		}
	}
}
