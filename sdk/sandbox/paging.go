package sandbox

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"net/url"
	"slices"
	"strconv"
)

const (
	defaultPage = 100
	largestPage = 500
	// cursorVersion is the version in an offset cursor.
	cursorVersion = 1
)

// listing is the list envelope (contract §1.5). The last page has no cursor.
type listing struct {
	Items      []any  `json:"items"`
	NextCursor string `json:"nextCursor,omitempty"`
}

// pageRequest is what a request says about the page that it wants. The zero value is the first page.
type pageRequest struct {
	limit  int
	offset int    // items before the page; used unless the server pages by sequence
	after  uint64 // Seq of the last item of the previous page, when the server pages by sequence
}

// pageOf returns a page of rows that are sorted by Seq. keep selects rows (nil: all); show returns
// the representation of a value.
func pageOf[T any](c *call, rows []*row[T], keep func(*T) bool, show func(*T) any) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	start, _ := slices.BinarySearchFunc(rows, p.after+1, func(r *row[T], seq uint64) int { return cmp.Compare(r.Seq, seq) })
	return p.cut(c, func(yield func(uint64, any) bool) {
		for _, r := range rows[start:] {
			if (keep == nil || keep(r.V)) && c.sees(r.V) && !yield(r.Seq, r.V) {
				return
			}
		}
	}, func(v any) any { return show(v.(*T)) }), nil
}

// cut returns the page of all items in a list's order, each with its Seq. When the server pages by
// sequence, the items are those after the page before.
func (p pageRequest) cut(c *call, items iter.Seq2[uint64, any], show func(any) any) listing {
	out := listing{Items: []any{}}
	skip, last := p.offset, uint64(0)
	for seq, v := range items {
		if skip > 0 {
			skip--
			continue
		}
		if len(out.Items) == p.limit {
			if c.s.pagesBySequence {
				out.NextCursor = c.sequenceCursor(last)
			} else {
				out.NextCursor = c.offsetCursor(p.offset + p.limit)
			}
			break
		}
		out.Items, last = append(out.Items, show(v)), seq
	}
	return out
}

// page reads limit and cursor (contract §1.11).
func (c *call) page() (pageRequest, error) {
	p := pageRequest{limit: defaultPage}
	q := c.r.URL.Query()
	if q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if err != nil || n < 1 || n > largestPage || strconv.Itoa(n) != q.Get("limit") {
			return p, invalid("limit must be an integer between 1 and 500")
		}
		p.limit = n
	}
	if !q.Has("cursor") {
		return p, nil
	}
	return p, p.takeCursor(c, q.Get("cursor"))
}

// takeCursor reads a cursor. A [Fault] with Shift moves an offset, as if items before it had been
// inserted or removed since the page before.
func (p *pageRequest) takeCursor(c *call, cursor string) (err error) {
	if c.s.pagesBySequence {
		p.after, err = c.readSequenceCursor(cursor)
		return err
	}
	if p.offset, err = c.readOffsetCursor(cursor); err == nil {
		p.offset = max(0, p.offset-c.shift())
	}
	return err
}

func errCursor(why string) error { return invalid("cursor was not given by this list: " + why) }

// offsetCursor encodes the number of items before the next page, as the cursors in the examples of
// the published CLI: {"v":1,"offset":2}. Only a list whose cursors are bound to its owner and page
// size (§2.17) adds a third member.
func (c *call) offsetCursor(offset int) string {
	text := fmt.Sprintf(`{"v":%d,"offset":%d}`, cursorVersion, offset)
	if c.route.boundPages {
		text = fmt.Sprintf(`{"v":%d,"offset":%d,"list":%d}`, cursorVersion, offset, c.scope())
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func (c *call) readOffsetCursor(cursor string) (int, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return 0, errCursor("it is not base64url without padding")
	}
	var members map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(b))
	if d.Decode(&members) != nil || members == nil {
		return 0, errCursor("it does not contain a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return 0, errCursor("it does not contain one JSON object")
	}
	if string(members["v"]) != strconv.Itoa(cursorVersion) {
		return 0, errCursor("its version is not 1")
	}
	offset, err := strconv.ParseInt(string(members["offset"]), 10, 32)
	if err != nil || offset < 0 {
		return 0, errCursor("its offset is not a whole number from 0 to 2147483647")
	}
	want := 2
	if c.route.boundPages {
		if want = 3; string(members["list"]) != strconv.FormatUint(uint64(c.scope()), 10) {
			return 0, errCursor("it belongs to another owner or page size")
		}
	}
	if len(members) != want {
		return 0, errCursor("it has unknown members")
	}
	return int(offset), nil
}

// readSequenceCursor decodes the last Seq of the previous page.
func (c *call) readSequenceCursor(cursor string) (uint64, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) != 12 || binary.BigEndian.Uint32(b) != c.scope() {
		return 0, invalid("cursor was not given by this list")
	}
	return binary.BigEndian.Uint64(b[4:]), nil
}

// sequenceCursor encodes, opaque to clients, the list that it belongs to and the last Seq of the
// page.
func (c *call) sequenceCursor(last uint64) string {
	b := binary.BigEndian.AppendUint32(nil, c.scope())
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, last))
}

// scope identifies a list by its path and filters. The page size may change between pages, except
// for IoT subscriptions, whose cursors are bound to it (§2.17).
func (c *call) scope() uint32 {
	q := url.Values{}
	for k, v := range c.r.URL.Query() {
		if k != "cursor" && (k != "limit" || c.route.boundPages) {
			q[k] = v
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.r.URL.Path + "?" + q.Encode() + "#" + c.pairingID()))
	return h.Sum32()
}
