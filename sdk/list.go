package sdk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// Page is one page of a list.
type Page[T any] struct {
	Meta
	Items      []T
	NextCursor string // opaque; empty on the last page
}

// maxLimit is the largest page size.
const maxLimit = 500

// ListOptions selects one page of a list (contract §1.11). All starts there.
type ListOptions struct {
	Limit  Optional[int]    // items per page, 1 to 500; if unset, the server's default (100)
	Cursor Optional[string] // NextCursor of the previous page
}

// page adds the options to a call.
func (r *call) page(o ListOptions) *call {
	if limit, ok := o.Limit.Get(); ok {
		if r.err == nil && (limit < 1 || limit > maxLimit) {
			r.err = &ValidationError{"limit", "integer between 1 and 500"}
		}
		r.param("limit", Some(strconv.Itoa(limit)))
	}
	return r.param("cursor", o.Cursor)
}

// list performs the call and decodes {"items": […], "nextCursor": …}.
func list[T any](ctx context.Context, r *call) (*Page[T], error) {
	return listInto(ctx, r, func(raw string, item *T) error { return r.client.pages.Decode(raw, item) })
}

// listWith is list with a custom decoder for each item.
func listWith[T any](ctx context.Context, r *call, decode func(raw string) (T, error)) (*Page[T], error) {
	return listInto(ctx, r, func(raw string, item *T) (err error) {
		*item, err = decode(raw)
		return err
	})
}

// listInto decodes each item from a copy of its own text. The strings of the item are parts
// of that copy, so that keeping an item does not keep its page in memory.
func listInto[T any](ctx context.Context, r *call, decode func(raw string, item *T) error) (*Page[T], error) {
	res, err := r.send(ctx)
	if err != nil {
		return nil, err
	}
	page := &Page[T]{Meta: res.Meta, Items: []T{}}
	err = res.text(func(body string) error {
		var err error
		restart := func() { page.Items = []T{} }
		page.NextCursor, err = readList(body, restart, func(raw string) error {
			if len(page.Items) == 0 { // estimate the number of items from the size of the first
				page.Items = make([]T, 0, min(len(body)/len(raw)+1, maxLimit))
			}
			page.Items = append(page.Items, *new(T))
			return decode(raw, &page.Items[len(page.Items)-1])
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// collect returns the items of all pages.
func collect[T any](all iter.Seq2[T, error]) ([]T, error) {
	out := []T{}
	for item, err := range all {
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}

// catalogue returns the items of all pages of a list that existing clients do not page. A
// server that sends a cursor and ignores it, so that the second page is the first one again,
// has sent the whole list.
func catalogue[T any](page func(ListOptions) (*Page[T], error)) ([]T, error) {
	first, err := page(ListOptions{})
	if err != nil {
		return nil, err
	}
	if first.NextCursor == "" {
		return first.Items, nil
	}
	second, err := page(ListOptions{Cursor: Some(first.NextCursor)})
	if err != nil {
		return nil, err
	}
	if second.NextCursor == first.NextCursor {
		return first.Items, nil
	}
	out := append(first.Items, second.Items...)
	if second.NextCursor == "" {
		return out, nil
	}
	rest, err := collect(each(ListOptions{Cursor: Some(second.NextCursor)}, page))
	if err != nil {
		return nil, err
	}
	return append(out, rest...), nil
}

// The bounds of a walk over the pages of a list. An honest list stays far below them.
const (
	MaxEmptyPages = 100              // pages without an item, one after another
	MaxPages      = 100_000          // pages in all
	MaxListTime   = 10 * time.Minute // without a new item; the time that the caller takes does not count
)

// ListError means that a walk over a list was ended because the list did not end. It is
// ErrEndlessList and ErrMalformed, and wraps an APIError with INVALID_RESPONSE_SHAPE.
type ListError struct {
	Reason string // which bound was reached
	Pages  int    // pages that were read
	API    *APIError
}

func (e *ListError) Error() string {
	return fmt.Sprintf("the list does not end: %s (after %d pages)", e.Reason, e.Pages)
}

// Unwrap returns the APIError.
func (e *ListError) Unwrap() error { return e.API }

// Is implements errors.Is for ErrEndlessList.
func (e *ListError) Is(target error) bool { return target == ErrEndlessList }

// LogValue makes slog print Error.
func (e *ListError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// walk is one pass over the pages of a list: it says when the list does not end.
type walk struct {
	seen         map[[sha256.Size]byte]bool // hashes of the cursors that were used
	pages, empty int
	idle         time.Duration // time of the requests since the last item
}

// newWalk begins a walk at a cursor, which is empty for the first page.
func newWalk(cursor string) *walk {
	return &walk{seen: map[[sha256.Size]byte]bool{sha256.Sum256([]byte(cursor)): true}}
}

// next checks the cursor of a page that is not the last one.
func (w *walk) next(cursor string, items int, took time.Duration) (reason string) {
	w.pages++
	w.empty++
	if w.idle += took; items > 0 {
		w.empty, w.idle = 0, 0
	}
	key := sha256.Sum256([]byte(cursor))
	switch {
	case w.seen[key]:
		return "a cursor was returned twice"
	case w.empty >= MaxEmptyPages:
		return "too many empty pages in a row"
	case w.pages >= MaxPages:
		return "too many pages"
	case w.idle >= MaxListTime:
		return "no item for too long"
	}
	w.seen[key] = true
	return ""
}

// each iterates over a list page by page. A page is requested when its first item is needed. Every
// range over the sequence is a walk of its own that begins at o.
func each[T any](o ListOptions, page func(ListOptions) (*Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		at, w := o, newWalk(o.Cursor.Value())
		for {
			began := time.Now()
			p, err := page(at)
			if err != nil {
				yield(none, err)
				return
			}
			took := time.Since(began)
			for _, value := range p.Items {
				if !yield(value, nil) {
					return
				}
			}
			if p.NextCursor == "" {
				return
			}
			if reason := w.next(p.NextCursor, len(p.Items), took); reason != "" {
				yield(none, &ListError{reason, w.pages, &APIError{
					Code: CodeInvalidResponseShape, StatusCode: http.StatusOK, Date: p.Date, Message: "the list does not end: " + reason,
				}})
				return
			}
			at.Cursor = Some(p.NextCursor)
		}
	}
}

// readList reads a list envelope (contract §1.5) and calls item with a copy of each item's
// text. It calls restart at the start of the list, which may occur twice.
func readList(body string, restart func(), item func(raw string) error) (nextCursor string, err error) {
	c := wire.NewScanner(body)
	if c.Peek() != '{' {
		return "", wire.MustBe("an object")
	}
	found := false
	err = c.Members(func(name string) error {
		switch name {
		case "items":
			restart() // if the name occurs twice, the last one wins
			found = true
			return wire.Inside(name, readItems(c, item))
		case "nextCursor":
			next, err := readCursor(c)
			nextCursor = next
			return wire.Inside(name, err)
		}
		return c.Skip()
	})
	if err == nil && !found {
		err = wire.Inside("items", wire.MustBe("present"))
	}
	return nextCursor, cmp.Or(err, c.End())
}

func readItems(c *wire.Scanner, item func(raw string) error) error {
	if c.Peek() != '[' {
		return wire.MustBe("an array")
	}
	return c.Elements(func(i int) error {
		raw, err := c.Raw()
		if err != nil {
			return err
		}
		return wire.At(i, item(strings.Clone(raw)))
	})
}

// readCursor reads the cursor of the next page. null and absent mean the last page.
func readCursor(c *wire.Scanner) (string, error) {
	switch c.Peek() {
	case 'n':
		return "", c.Skip()
	case '"':
		s, err := c.ReadString()
		return strings.Clone(s), err
	}
	return "", wire.MustBe("a string or null")
}
