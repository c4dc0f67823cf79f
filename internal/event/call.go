package event

import (
	"encoding/json"
	"net/netip"
	"time"

	"headwater/internal/mediastore"
)

// Call is a call of the control plane, allowed or denied, after its outcome was
// decided.
type Call struct {
	ID        string    // of the request, as in x-amzn-RequestId
	Time      time.Time // it came
	Service   string    // whose operation it is, as in mediastore.amazonaws.com
	Operation string    // as its model names it; what was sent when there is none of that name
	ReadOnly  bool      // the operation changes nothing

	Account   mediastore.AccountID // that the call acts in; empty when the caller is not known
	Region    string
	Identity  Identity
	Source    netip.Addr
	UserAgent string
	Secure    bool // it came over TLS

	Parameters json.RawMessage // the request, nil when it could not be read
	Result     json.RawMessage // the answer, nil after an error and when the operation is ReadOnly

	ErrorCode    string // empty when it was carried out
	ErrorMessage string // as the client got it
}

// Identity is who called.
type Identity struct {
	Type        IdentityType
	ARN         string
	AccessKeyID string // that was claimed, also when the signature was wrong
}

// IdentityType is as CloudTrail names it.
type IdentityType string

// The types of identities.
const (
	IdentityRoot        IdentityType = "Root"
	IdentityUser        IdentityType = "IAMUser"
	IdentityAssumedRole IdentityType = "AssumedRole"
	IdentityUnknown     IdentityType = "Unknown"
)
