package sdk

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"strconv"
	"strings"

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
	return listInto(ctx, r, func(raw string, item *T) error { return r.client.codec.Decode(raw, item) })
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

// items returns the items of a list that has only one page.
func items[T any](page *Page[T], err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

// each iterates over a list page by page. A page is requested when its first item is needed.
func each[T any](o ListOptions, page func(ListOptions) (*Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for {
			p, err := page(o)
			if err != nil {
				yield(none, err)
				return
			}
			for _, value := range p.Items {
				if !yield(value, nil) {
					return
				}
			}
			if p.NextCursor == "" {
				return
			}
			if p.NextCursor == o.Cursor.Value() {
				yield(none, &APIError{
					Code: CodeInvalidResponseShape, StatusCode: http.StatusOK, Date: p.Date,
					Message: "the list's cursor does not advance",
				})
				return
			}
			o.Cursor = Some(p.NextCursor)
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
