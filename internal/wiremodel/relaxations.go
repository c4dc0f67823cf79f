package wiremodel

// token and quoted are the two forms of a parameter's value (RFC 9110, sections
// 5.6.2 and 5.6.4).
const (
	token  = `[\w!#$%&'*+\-.^|~` + "`" + `]+`
	quoted = `"(?:[\t\x20\x21\x23-\x5B\x5D-\x7E]|\\[\t\x20-\x7E])*"`
)

// relaxations are the patterns in which this server deliberately is wider than
// the models, by shape, each with what replaces it; the empty pattern matches
// everything. All other constraints of these shapes stay. Whatever is not in
// this list is held to the letter.
var relaxations = map[string]string{
	// Objects may be called what the service's guide allows: the data plane's
	// model lacks "=" and ":".
	"ItemName": `[A-Za-z0-9_=:\.\-\~]+`,

	// A media type keeps the parameters it was stored with (RFC 9110, section
	// 8.3.1); the model knows types without.
	"ContentType": `[\w\-/.+]{1,255}(?:[ \t]*;[ \t]*(?:` + token + `=(?:` + token + `|` + quoted + `))?)*`,

	// Messages are for people. The model allows no quotes, commas or brackets in
	// them, which the service's own messages are full of; no client enforces it.
	"ErrorMessage": "",

	// The header as every browser and CDN reads it (RFC 9110, section 14.4), with
	// a size that is not known yet for an upload under way (RFC 8673, section 2).
	// The model spells it like a Range.
	"ContentRangePattern": `bytes \d+-\d+/(?:\d+|\*)`,
}

// extensions are members that this server adds to structures of the models, by
// shape, each a string of a pattern. SDKs leave out what they do not know.
var extensions = map[string]map[string]string{
	// The storage class of an object in a list, when a lifecycle rule has changed
	// it. The model has it in the answer to PutObject only, and only as TEMPORAL.
	"Item": {"StorageClass": "INFREQUENT_ACCESS"},
}
