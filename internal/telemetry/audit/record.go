package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"headwater/internal/event"
)

const (
	eventVersion = "1.11" // of CloudTrail's record contents

	maxRecord = 100 << 10 // bytes, with the line's end
	maxText   = 1 << 10   // bytes of a text that the client or a rule chose
)

// record is a CloudTrail event. Its members are in CloudTrail's order.
type record struct {
	EventVersion       string       `json:"eventVersion"`
	UserIdentity       userIdentity `json:"userIdentity"`
	EventTime          string       `json:"eventTime"`
	EventSource        string       `json:"eventSource"`
	EventName          string       `json:"eventName"`
	AWSRegion          string       `json:"awsRegion"`
	SourceIPAddress    string       `json:"sourceIPAddress"`
	UserAgent          string       `json:"userAgent"`
	ErrorCode          string       `json:"errorCode,omitempty"`
	ErrorMessage       string       `json:"errorMessage,omitempty"`
	RequestParameters  any          `json:"requestParameters"`
	ResponseElements   any          `json:"responseElements"`
	RequestID          string       `json:"requestID"`
	EventID            string       `json:"eventID"`
	ReadOnly           bool         `json:"readOnly"`
	EventType          string       `json:"eventType"`
	ManagementEvent    bool         `json:"managementEvent"`
	RecipientAccountID string       `json:"recipientAccountId,omitempty"`
	EventCategory      string       `json:"eventCategory"`
	TLSDetails         *struct{}    `json:"tlsDetails,omitempty"` // there, and empty, when the call came over TLS
}

type userIdentity struct {
	Type        event.IdentityType `json:"type"`
	PrincipalID string             `json:"principalId,omitempty"`
	ARN         string             `json:"arn,omitempty"`
	AccountID   string             `json:"accountId,omitempty"`
	AccessKeyID string             `json:"accessKeyId,omitempty"`
}

// line returns the record of a call as a line of JSON, at most maxRecord long.
func line(call *event.Call) []byte {
	r := newRecord(call)
	parameters, elements := decode(call.Parameters), decode(result(call))
	for _, shorten := range []func(any) any{whole, shortMembers, nothing} {
		r.RequestParameters = shorten(parameters)
		r.ResponseElements = shorten(elements)
		if b := encode(r); len(b) <= maxRecord {
			return b
		}
	}
	return encode(r)
}

func newRecord(call *event.Call) *record {
	r := &record{
		EventVersion:       eventVersion,
		UserIdentity:       identity(&call.Identity),
		EventTime:          call.Time.UTC().Format(time.RFC3339),
		EventSource:        call.Service,
		EventName:          cut(call.Operation),
		AWSRegion:          call.Region,
		UserAgent:          cut(call.UserAgent),
		SourceIPAddress:    address(call.Source),
		ErrorCode:          call.ErrorCode,
		ErrorMessage:       cut(call.ErrorMessage),
		RequestID:          call.ID,
		EventID:            eventID(call),
		ReadOnly:           call.ReadOnly,
		EventType:          "AwsApiCall",
		ManagementEvent:    true,
		RecipientAccountID: string(call.Account),
		EventCategory:      "Management",
	}
	if call.Secure {
		r.TLSDetails = &struct{}{}
	}
	return r
}

// identity tells who called. The root user's principal ID is the account number.
// That of others is not in an ARN.
func identity(caller *event.Identity) userIdentity {
	id := userIdentity{Type: caller.Type, ARN: caller.ARN, AccessKeyID: cut(caller.AccessKeyID)}
	if fields := strings.SplitN(caller.ARN, ":", 6); len(fields) == 6 {
		id.AccountID = fields[4]
	}
	if caller.Type == event.IdentityRoot {
		id.PrincipalID = id.AccountID
	}
	return id
}

func address(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.Unmap().String()
}

// eventID names the record. It is a UUID of version 8 (RFC 9562, section 5.8) made
// of the request's ID, so that copies of a record can be told from other records.
func eventID(call *event.Call) string {
	h := sha256.Sum256([]byte("audit " + call.ID))
	u := h[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// result returns the answer, as far as it is recorded: of calls that changed
// something.
func result(call *event.Call) json.RawMessage {
	if call.ReadOnly || call.ErrorCode != "" {
		return nil
	}
	return call.Result
}

// cut bounds a text that could be of any length.
func cut(s string) string { return s[:min(len(s), maxText)] }

// encode returns v as a line of JSON. Everything in a record can be encoded.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // policies are read by people
	_ = e.Encode(v)
	return b.Bytes()
}
