package audit

import (
	"bytes"
	"encoding/json"
	"strings"
)

const (
	// maxDecoded bounds what is looked into at all, in bytes: longer documents
	// never fit into a record, and decoding takes a multiple of them.
	maxDecoded = 1 << 20

	// maxMember is what a member may have, in bytes, of a document that is too
	// long as a whole.
	maxMember = 1 << 10

	// hidden stands for a secret, as in CloudTrail.
	hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

	tooLarge = "too large"
)

// omission stands for a value that is not in the record.
type omission struct {
	Omitted      bool   `json:"omitted"`
	OriginalSize int    `json:"originalSize"` // bytes
	Reason       string `json:"reason"`
}

// decode returns a document as it may be recorded: members' names begin with a
// small letter, as CloudTrail writes them, and secrets are hidden. It returns nil
// for no document.
func decode(document json.RawMessage) any {
	if len(document) == 0 {
		return nil
	}
	if len(document) > maxDecoded {
		return omission{true, len(document), tooLarge}
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return omission{true, len(document), "not JSON"}
	}
	return rename(v)
}

// rename renames and hides at every depth, which encoding/json has bounded.
func rename(v any) any {
	switch v := v.(type) {
	case map[string]any:
		renamed := make(map[string]any, len(v))
		for name, value := range v {
			if secret(name) {
				value = hidden
			}
			renamed[newName(v, name)] = rename(value)
		}
		return renamed
	case []any:
		for i := range v {
			v[i] = rename(v[i])
		}
	}
	return v
}

// newName returns what a member of an object is called in a record. It keeps its
// name when the object has the other as well: what a client sends beside the
// members of the API must not displace one.
func newName(object map[string]any, name string) string {
	if name == "" || name[0] < 'A' || 'Z' < name[0] {
		return name
	}
	small := strings.ToLower(name[:1]) + name[1:]
	if _, taken := object[small]; taken {
		return name
	}
	return small
}

// secret reports whether a member of that name is nobody's business.
func secret(name string) bool {
	switch strings.ToLower(name) {
	case "secretaccesskey", "sessiontoken", "password":
		return true
	}
	return false
}

// whole records all of a value.
func whole(v any) any { return v }

// shortMembers records the members of a value that are short, so that the name of
// a container is there although its policy is not.
func shortMembers(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	short := make(map[string]any, len(object))
	for name, value := range object {
		if size(value) > maxMember {
			value = nothing(value)
		}
		short[name] = value
	}
	return short
}

// nothing records how large a value is.
func nothing(v any) any {
	switch v := v.(type) {
	case nil, omission:
		return v
	default:
		return omission{true, size(v), tooLarge}
	}
}

// size returns how many bytes of JSON a value is.
func size(v any) int { return len(encode(v)) - len("\n") }
