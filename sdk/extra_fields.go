package sdk

import "github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"

// ExtraFields holds the members of a response that this package does not model, as JSON
// text by member name. What they contain is not known, so each is a [Secret] until
// Reveal is called. ExtraFields prints as JSON without the values of members whose names
// sound secret (token, key, signature, …), at any depth.
type ExtraFields = wire.ExtraFields
