package sandbox

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
)

const (
	defaultPage = 100
	largestPage = 500
)

// listing is the list envelope (contract §1.5). The last page has no cursor.
type listing struct {
	Items      []any  `json:"items"`
	NextCursor string `json:"nextCursor,omitempty"`
}

// pageOf returns a page of rows that are sorted by Seq. keep selects rows (nil: all); show returns
// the representation of a value.
func pageOf[T any](c *call, rows []*row[T], keep func(*T) bool, show func(*T) any) (any, error) {
	limit, after, err := c.page()
	if err != nil {
		return nil, err
	}
	start, _ := slices.BinarySearchFunc(rows, after+1, func(r *row[T], seq uint64) int { return cmp.Compare(r.Seq, seq) })
	out := listing{Items: []any{}}
	var last uint64
	for _, r := range rows[start:] {
		if keep != nil && !keep(r.V) {
			continue
		}
		if len(out.Items) == limit {
			out.NextCursor = c.cursor(last)
			break
		}
		out.Items = append(out.Items, show(r.V))
		last = r.Seq
	}
	return out, nil
}

// page reads limit and cursor (contract §1.11).
func (c *call) page() (limit int, after uint64, err error) {
	limit = defaultPage
	q := c.r.URL.Query()
	if q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if err != nil || n < 1 || n > largestPage || strconv.Itoa(n) != q.Get("limit") {
			return 0, 0, invalid("limit must be an integer between 1 and 500")
		}
		limit = n
	}
	if !q.Has("cursor") {
		return limit, 0, nil
	}
	after, err = c.after(q.Get("cursor"))
	return limit, after, err
}

// after decodes a cursor: the last Seq of the previous page.
func (c *call) after(cursor string) (uint64, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) != 12 || binary.BigEndian.Uint32(b) != c.scope() {
		return 0, invalid("cursor was not given by this list")
	}
	return binary.BigEndian.Uint64(b[4:]), nil
}

// cursor encodes, opaque to clients, the list that it belongs to and the last Seq of the page.
func (c *call) cursor(last uint64) string {
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
