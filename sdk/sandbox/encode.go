package sandbox

import (
	"bytes"
	"encoding/json"
)

// marshal is json.Marshal without the escapes for HTML: what a client sent, such as the input of an
// order, comes back with the characters that it had.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
