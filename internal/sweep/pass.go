package sweep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"headwater/internal/lifecycle"
	"headwater/internal/mediastore"
)

// pass is a walk over the objects of one container.
type pass struct {
	id     mediastore.ContainerID
	text   string // the policy's, empty before the first step
	policy *lifecycle.Policy
	place

	failures int
	pause    time.Duration // the last one
	resume   time.Time     // when it ends
}

// place is where a pass is, as the engine keeps it across a restart.
type place struct {
	Policy  string          `json:"policy"` // fingerprint of its text
	Began   time.Time       `json:"began"`
	After   mediastore.Path `json:"after"` // the last object that was looked at
	Objects int             `json:"objects"`
}

// look reads the policy as it is now. It reports whether the pass has anything to
// do, from the beginning when the policy is another one than before.
func (w *walker) look(ctx context.Context, p *pass) (concerned bool, err error) {
	c, err := w.Engine.ContainerByID(ctx, p.id)
	if err != nil && !mediastore.IsKind(err, mediastore.KindContainerNotFound) {
		return false, err
	}
	if err != nil || c.Status != mediastore.StatusActive || c.Lifecycle == "" {
		return false, w.forgetPlace(ctx, p)
	}
	if c.Lifecycle == p.text {
		return true, nil
	}
	policy, err := lifecycle.Parse([]byte(c.Lifecycle))
	if err != nil {
		return false, err
	}
	if !w.wants(policy) {
		return false, w.forgetPlace(ctx, p)
	}
	if p.place, err = w.placeFor(ctx, p, c.Lifecycle); err != nil {
		return false, err
	}
	p.text, p.policy = c.Lifecycle, policy
	return true, nil
}

// placeFor returns the place that was kept of a pass by the policy of that text,
// or the beginning.
func (w *walker) placeFor(ctx context.Context, p *pass, text string) (place, error) {
	value, err := w.Engine.Mark(ctx, w.mark(p))
	if err != nil {
		return place{}, err
	}
	var kept place
	if json.Unmarshal(value, &kept) == nil && kept.Policy == fingerprint(text) {
		return kept, nil
	}
	return place{Policy: fingerprint(text), Began: w.Now()}, nil
}

func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

func (w *walker) mark(p *pass) string { return "sweep/" + string(w.what) + "/" + string(p.id) }

// maxMark is the engine's bound on a mark, in bytes.
const maxMark = 4 << 10

// keepPlace keeps the place, unless its path is so long that there is no room: then
// the last one stays, and after a restart some objects are looked at once more.
func (w *walker) keepPlace(ctx context.Context, p *pass) error {
	value, err := json.Marshal(p.place)
	if err != nil || len(value) > maxMark {
		return err
	}
	return w.Engine.SetMark(ctx, w.mark(p), value)
}

// forgetPlace makes the next pass begin at the beginning. Most passes keep no
// place, having one step only, and are not to cost a write.
func (w *walker) forgetPlace(ctx context.Context, p *pass) error {
	value, err := w.Engine.Mark(ctx, w.mark(p))
	if err != nil || value == nil {
		return err
	}
	return w.Engine.SetMark(ctx, w.mark(p), nil)
}
