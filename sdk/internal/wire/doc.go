// Package wire turns Go structs into JSON and JSON into Go structs, under rules that
// encoding/json does not have. It defines no type, path or error code of the API:
// package sdk declares those, with struct tags, and this package follows the tags.
//
// # Where to start
//
// [Codec] is the entry point: [New] makes one, [Codec.Encode] writes a request body,
// [Codec.Decode] reads a response. The comment of Codec lists the struct tags.
//
//	type reading struct {
//		ID     string                `json:"id" wire:"req,nonempty"`
//		Unit   wire.Optional[string] `json:"unit,omitzero"`
//		Token  wire.Secret           `json:"token"`
//		Others wire.ExtraFields      `json:"-" wire:"extra"`
//	}
//
//	var r reading
//	err := wire.New(wire.Options{}).Decode(body, &r)
//
// By file: plan.go turns the tags of a type into a plan, once per type; decode.go and
// decode_kinds.go read by it, encode.go writes by it; scanner.go is the JSON reader
// below both. [Optional], [Secret] and [ExtraFields] are the field types that need the
// codec's help; redact.go removes secrets from JSON that is going to be printed.
//
// # What it guarantees
//
//   - Absent, null, the zero value and a missing required member are four different
//     things, and a member's name must match exactly.
//   - Reading fails with one of two errors: [ErrSyntax], or a [*ShapeError] that holds
//     the path of the member. Neither holds a value from the text.
//   - If a member occurs twice, the last one wins, as in encoding/json and in Python, so
//     that a proxy that inspects the body sees what the program sees.
//   - Unknown members never fail. They are kept in an ExtraFields field, or dropped.
//   - Nesting is limited to [MaxDepth]. Strings must be UTF-8 to pass [Valid].
//   - A [Secret] is written to a request and printed nowhere else.
//   - The same value always encodes to the same bytes.
//
// # Memory
//
// Decoded strings are parts of the text, without a copy. A value that outlives its text
// keeps all of it alive: the caller decodes the items of a list from a copy of each
// item's own text. Secrets and extra members are copied.
//
// # Why not encoding/json
//
// It does not report what the API's contract distinguishes (absent, null, missing,
// another spelling), and it takes three times as long for a page of a list.
// encoding/json/v2 covers duplicates, case and unknown members, but neither "required"
// nor "not null".
package wire
