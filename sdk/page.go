package sdk

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// ListOptions asks for one page of a list (contract §1.11).
type ListOptions struct {
	Limit  int    // items per page, 1 to 500; 0 leaves it to the server (100)
	Cursor string // opaque, from the page before
}

func (o ListOptions) query() (url.Values, error) {
	q := url.Values{}
	if o.Limit != 0 {
		if o.Limit < 1 || o.Limit > 500 {
			return nil, &ValidationError{"limit", "integer between 1 and 500"}
		}
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Cursor != "" {
		q.Set("cursor", o.Cursor)
	}
	return q, nil
}

// Page is one page of a list. An empty NextCursor is the end.
type Page[T any] struct {
	Items      []T
	NextCursor string
}

// UnmarshalJSON reads the list envelope (contract §1.5).
func (p *Page[T]) UnmarshalJSON(b []byte) error {
	var raw struct {
		Items      []T     `json:"items"`
		NextCursor *string `json:"nextCursor"`
	}
	if err := decodeObject(b, &raw, "items"); err != nil {
		return err
	}
	p.Items = raw.Items
	if raw.NextCursor != nil {
		p.NextCursor = *raw.NextCursor
	}
	return nil
}

// listPage fetches one page of a list.
func listPage[T any](ctx context.Context, c *Client, path string, o ListOptions) (*Page[T], error) {
	q, err := o.query()
	if err != nil {
		return nil, err
	}
	var p Page[T]
	if _, err := c.do(ctx, call{method: http.MethodGet, path: path, query: q, auth: authPlatform}, &p); err != nil {
		return nil, err
	}
	return &p, nil
}

// all walks a list page by page, as far as the caller goes. A cursor that comes
// back unchanged would never end, so it is an error.
func all[T any](o ListOptions, page func(ListOptions) (*Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for {
			p, err := page(o)
			if err != nil {
				yield(none, err)
				return
			}
			for _, v := range p.Items {
				if !yield(v, nil) {
					return
				}
			}
			if p.NextCursor == "" {
				return
			}
			if p.NextCursor == o.Cursor {
				yield(none, &APIError{Code: CodeInvalidResponseShape, Message: "the list's cursor does not move on"})
				return
			}
			o.Cursor = p.NextCursor
		}
	}
}

// segment escapes a path parameter as one segment, dots included: "." and ".."
// would otherwise walk up.
func segment(s string) string {
	switch s {
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	}
	return url.PathEscape(s)
}

// need refuses blank arguments, given as name, value pairs.
func need(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if isBlank(pairs[i+1]) {
			return &ValidationError{pairs[i], "non-empty string"}
		}
	}
	return nil
}
