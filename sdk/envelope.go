package sdk

import (
	"context"
	"iter"
	"net/http"
	"strconv"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// withMeta is a result that takes what the answer's head said.
type withMeta interface{ setMeta(Meta) }

func (m *Meta) setMeta(from Meta) { *m = from }

// whole decodes the answer as it is into out (contract §1.5, "raw").
func (r *call) whole(ctx context.Context, out any) error {
	a, err := r.send(ctx)
	if err != nil {
		return err
	}
	return r.client.wholeOf(a, out)
}

func (c *Client) wholeOf(a *reply, out any) error {
	if out, ok := out.(withMeta); ok {
		out.setMeta(a.Meta)
	}
	return a.text(func(body string) error { return c.codec.Decode(body, out) })
}

// result performs the call and decodes its answer.
func result[T any](ctx context.Context, r *call, decode func(body string, out *T) error) (*T, error) {
	a, err := r.send(ctx)
	if err != nil {
		return nil, err
	}
	out := new(T)
	if err := a.text(func(body string) error { return decode(body, out) }); err != nil {
		return nil, err
	}
	if m, ok := any(out).(withMeta); ok {
		m.setMeta(a.Meta)
	}
	return out, nil
}

// item performs the call and decodes {"item": …}.
func item[T any](ctx context.Context, r *call) (*T, error) {
	return result(ctx, r, func(body string, out *T) error { return r.client.codec.Member(body, "item", out) })
}

// itemChecked is item with a check of the decoded value, whose fault is one of
// the answer's shape.
func itemChecked[T any](ctx context.Context, r *call, check func(*T) error) (*T, error) {
	return result(ctx, r, func(body string, out *T) error {
		if err := r.client.codec.Member(body, "item", out); err != nil {
			return err
		}
		return wire.Inside("item", check(out))
	})
}

// itemWith is item with a decoder of its own, given the item's text.
func itemWith[T any](ctx context.Context, r *call, decode func(raw string) (T, error)) (*T, error) {
	return result(ctx, r, func(body string, out *T) error {
		var envelope struct {
			Item wire.Raw `json:"item" wire:"req"`
		}
		err := r.client.codec.Decode(body, &envelope)
		if err != nil {
			return err
		}
		*out, err = decode(string(envelope.Item))
		return wire.Inside("item", err)
	})
}

// itemOrWhole reads an answer whose envelope no source tells: {"item": …} or the
// object itself.
func itemOrWhole[T any](ctx context.Context, r *call) (*T, error) {
	return result(ctx, r, func(body string, out *T) error {
		var envelope struct {
			Item wire.Raw `json:"item"`
		}
		if err := r.client.codec.Decode(body, &envelope); err != nil {
			return err
		}
		if envelope.Item != "" {
			return wire.Inside("item", r.client.codec.Decode(string(envelope.Item), out))
		}
		return r.client.codec.Decode(body, out)
	})
}

// nothing performs a call whose result is not looked at: 204, or any JSON.
func (r *call) nothing(ctx context.Context) error {
	a, err := r.send(ctx)
	if err != nil || a.empty {
		return err
	}
	return a.text(anyJSON)
}

// Page is one page of a list.
type Page[T any] struct {
	Meta
	Items      []T
	NextCursor string // opaque; empty on the last page
}

// maxLimit is how many items a page can have.
const maxLimit = 500

// ListOptions picks one page of a list (contract §1.11). All walks from there on.
type ListOptions struct {
	Limit  Optional[int]    // items per page, 1 to 500; the server's own choice (100) when unset
	Cursor Optional[string] // NextCursor of the page before, as it came
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

// listWith is list with a decoder of its own.
func listWith[T any](ctx context.Context, r *call, decode func(raw string) (T, error)) (*Page[T], error) {
	return listInto(ctx, r, func(raw string, item *T) (err error) {
		*item, err = decode(raw)
		return err
	})
}

// listInto decodes each item from a copy of its own text: its strings are parts of
// that copy, so that an item which is kept keeps no page alive.
func listInto[T any](ctx context.Context, r *call, decode func(raw string, item *T) error) (*Page[T], error) {
	a, err := r.send(ctx)
	if err != nil {
		return nil, err
	}
	page := &Page[T]{Meta: a.Meta, Items: []T{}}
	err = a.text(func(body string) error {
		var err error
		restart := func() { page.Items = []T{} }
		page.NextCursor, err = readList(body, restart, func(raw string) error {
			if len(page.Items) == 0 { // the first item tells how many may come, up to what the API gives
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

// items is a list that has one page.
func items[T any](page *Page[T], err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

// each walks a list page by page. A page is asked for when its first item is.
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
					Message: "the list's cursor does not move on",
				})
				return
			}
			o.Cursor = Some(p.NextCursor)
		}
	}
}
