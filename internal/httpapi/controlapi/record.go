package controlapi

import (
	"encoding/json"
	"net/http"
	"strings"

	"headwater/internal/access"
	"headwater/internal/event"
	"headwater/internal/httpapi"
)

// service is what the audit records call this API.
const service = "mediastore.amazonaws.com"

// record begins the record of a call, with what is known before anything of it
// can be believed.
func (a *API) record(w *httpapi.Response, r *http.Request) *event.Call {
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	return &event.Call{
		ID:        w.ID,
		Time:      w.Received,
		Service:   service,
		Operation: operation[:min(len(operation), 100)],
		ReadOnly:  readOnly(operation),
		Region:    a.Access.Region,
		Identity:  event.Identity{Type: event.IdentityUnknown, AccessKeyID: claimedKey(r)},
		Source:    w.Client.IP,
		UserAgent: r.UserAgent(),
		Secure:    w.Client.Secure,
	}
}

// claimedKey returns the access key ID that the request names, as far as one may
// look like that.
func claimedKey(r *http.Request) string {
	id := access.ClaimedKey(r)
	return id[:min(len(id), 128)]
}

// identify notes who called, once that is certain.
func identify(record *event.Call, caller *access.Caller) {
	if caller.Anonymous() {
		return
	}
	record.Account = caller.Account
	record.Identity = event.Identity{Type: event.IdentityRoot, ARN: caller.Principal.ARN, AccessKeyID: caller.AccessKeyID}
}

// conclude notes the answer of a call that changed something.
func conclude(record *event.Call, out any) (err error) {
	if !record.ReadOnly {
		record.Result, err = json.Marshal(out)
	}
	return err
}

// readOnly reports whether an operation, or what it would be if there were one of
// that name, changes nothing.
func readOnly(operation string) bool {
	for _, verb := range []string{"Describe", "Get", "List"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}
