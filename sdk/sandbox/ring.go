package sandbox

import (
	"encoding/json"
	"iter"
)

// ring keeps the newest values, up to its size.
type ring[T any] struct {
	size   int
	values []T
	start  int // of the oldest, once the ring is full
}

func newRing[T any](size int) ring[T] { return ring[T]{size: size} }

func (r *ring[T]) add(v T) {
	if len(r.values) < r.size {
		r.values = append(r.values, v)
		return
	}
	r.values[r.start] = v
	r.start = (r.start + 1) % r.size
}

// newest walks from the newest to the oldest.
func (r *ring[T]) newest() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		n := len(r.values)
		for i := range n {
			if !yield(&r.values[(r.start+n-1-i)%n]) {
				return
			}
		}
	}
}

// MarshalJSON writes the values, oldest first, for the state file.
func (r ring[T]) MarshalJSON() ([]byte, error) {
	out := make([]T, 0, len(r.values))
	for i := range r.values {
		out = append(out, r.values[(r.start+i)%len(r.values)])
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads values into a ring that newRing made.
func (r *ring[T]) UnmarshalJSON(b []byte) error {
	var values []T
	if err := json.Unmarshal(b, &values); err != nil {
		return err
	}
	r.values, r.start = values[max(0, len(values)-r.size):], 0
	return nil
}
