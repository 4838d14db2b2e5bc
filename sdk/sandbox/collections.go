package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
)

// table holds rows in order of insertion, indexed by id and by owner. It is bounded: a full table
// drops its oldest row if forgets is set, and otherwise rejects the new one. It is not safe for
// concurrent use; the server's lock guards it.
type table[T any] struct {
	limit   int
	forgets bool
	rows    []*row[T]
	byID    map[string]*row[T]
	owned   map[string][]*row[T]
}

// row is one entry of a table. Seq grows with every row of the server and is never reused, so that
// cursors stay valid while rows are added and removed.
type row[T any] struct {
	Seq   uint64 `json:"seq"`
	ID    string `json:"id"`
	Owner string `json:"owner,omitempty"`
	V     *T     `json:"v"`
}

func newTable[T any](limit int, forgets bool) table[T] {
	return table[T]{limit: limit, forgets: forgets, byID: map[string]*row[T]{}, owned: map[string][]*row[T]{}}
}

// add stores v. It returns false when the table is full.
func (t *table[T]) add(seq uint64, id, owner string, v *T) bool {
	if t.free() <= 0 {
		if !t.forgets {
			return false
		}
		t.remove(t.rows[0].ID)
	}
	t.insert(&row[T]{Seq: seq, ID: id, Owner: owner, V: v})
	return true
}

func (t *table[T]) insert(r *row[T]) {
	t.rows = append(t.rows, r)
	t.byID[r.ID] = r
	if r.Owner != "" {
		t.owned[r.Owner] = append(t.owned[r.Owner], r)
	}
}

// get returns the value with an id, or nil.
func (t *table[T]) get(id string) *T {
	if r := t.byID[id]; r != nil {
		return r.V
	}
	return nil
}

// of returns the rows of an owner, oldest first.
func (t *table[T]) of(owner string) []*row[T] { return t.owned[owner] }

// free returns how many rows can be added before the table is full.
func (t *table[T]) free() int { return t.limit - len(t.rows) }

func (t *table[T]) len() int { return len(t.rows) }

func (t *table[T]) remove(id string) {
	r := t.byID[id]
	if r == nil {
		return
	}
	delete(t.byID, id)
	t.rows = without(t.rows, r)
	if r.Owner == "" {
		return
	}
	if rest := without(t.owned[r.Owner], r); len(rest) > 0 {
		t.owned[r.Owner] = rest
	} else {
		delete(t.owned, r.Owner)
	}
}

// without removes one row. The first row is removed by moving the start, so that a full table that
// forgets does not copy itself for every new row.
func without[T any](rows []*row[T], r *row[T]) []*row[T] {
	i, ok := slices.BinarySearchFunc(rows, r.Seq, func(r *row[T], seq uint64) int { return cmp.Compare(r.Seq, seq) })
	switch {
	case !ok:
		return rows
	case i == 0:
		rows[0] = nil
		return rows[1:]
	}
	return slices.Delete(rows, i, i+1)
}

// MarshalJSON encodes the rows for the state file.
func (t table[T]) MarshalJSON() ([]byte, error) { return marshal(t.rows) }

// UnmarshalJSON decodes rows into a table made by newTable. Rows that no table could have written
// are an error: a lost row must not go unnoticed.
func (t *table[T]) UnmarshalJSON(b []byte) error {
	var rows []*row[T]
	if err := json.Unmarshal(b, &rows); err != nil {
		return err
	}
	if t.forgets {
		rows = rows[max(0, len(rows)-t.limit):]
	}
	*t = newTable[T](t.limit, t.forgets)
	var last uint64
	for i, r := range rows {
		if r == nil || r.V == nil || r.ID == "" || r.Seq <= last || t.byID[r.ID] != nil || t.free() <= 0 {
			return fmt.Errorf("row %d of %d is invalid", i+1, len(rows))
		}
		last = r.Seq
		t.insert(r)
	}
	return nil
}

// ring holds the latest values, up to its size.
type ring[T any] struct {
	size   int
	values []T
	start  int // index of the oldest value, once the ring is full
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

// latestFirst iterates from the latest to the oldest.
func (r *ring[T]) latestFirst() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		n := len(r.values)
		for i := range n {
			if !yield(&r.values[(r.start+n-1-i)%n]) {
				return
			}
		}
	}
}

// MarshalJSON encodes the values for the state file, oldest first.
func (r ring[T]) MarshalJSON() ([]byte, error) {
	out := make([]T, 0, len(r.values))
	for i := range r.values {
		out = append(out, r.values[(r.start+i)%len(r.values)])
	}
	return marshal(out)
}

// UnmarshalJSON decodes values into a ring made by newRing.
func (r *ring[T]) UnmarshalJSON(b []byte) error {
	var values []T
	if err := json.Unmarshal(b, &values); err != nil {
		return err
	}
	r.values, r.start = values[max(0, len(values)-r.size):], 0
	return nil
}
