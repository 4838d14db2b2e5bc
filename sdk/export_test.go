package sdk

// WireJSON writes a result as the client would send it, secrets revealed, so that
// a test can compare it with what was recorded.
func WireJSON(v any) ([]byte, error) { return new(codec).encode(v) }

// FromWire reads a recorded argument into a request, and tells the wire name of
// what does not fit its type.
func FromWire(text string, v any) (field string, err error) {
	if err = new(codec).decode(text, v); err == nil {
		return "", nil
	}
	if shape, ok := err.(*shapeError); ok && len(shape.path) > 0 {
		field = shape.path[1:]
	}
	return field, err
}
