package sdk

import (
	"context"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// withMeta is a result that has the response's Meta.
type withMeta interface{ setMeta(Meta) }

func (m *Meta) setMeta(from Meta) { *m = from }

// whole decodes the whole body into out (contract §1.5, "raw").
func (r *call) whole(ctx context.Context, out any) error {
	res, err := r.send(ctx)
	if err != nil {
		return err
	}
	return r.client.wholeOf(res, out)
}

func (c *Client) wholeOf(res *success, out any) error {
	if out, ok := out.(withMeta); ok {
		out.setMeta(res.Meta)
	}
	return res.text(func(body string) error { return c.codec.Decode(body, out) })
}

// result performs the call and decodes the response.
func result[T any](ctx context.Context, r *call, decode func(body string, out *T) error) (*T, error) {
	res, err := r.send(ctx)
	if err != nil {
		return nil, err
	}
	out := new(T)
	if err := res.text(func(body string) error { return decode(body, out) }); err != nil {
		return nil, err
	}
	if m, ok := any(out).(withMeta); ok {
		m.setMeta(res.Meta)
	}
	return out, nil
}

// item performs the call and decodes {"item": …}.
func item[T any](ctx context.Context, r *call) (*T, error) {
	return result(ctx, r, func(body string, out *T) error { return r.client.codec.Member(body, "item", out) })
}

// itemChecked is item with a check of the decoded value. Its errors are errors of the
// response's shape.
func itemChecked[T any](ctx context.Context, r *call, check func(*T) error) (*T, error) {
	return result(ctx, r, func(body string, out *T) error {
		if err := r.client.codec.Member(body, "item", out); err != nil {
			return err
		}
		return wire.Inside("item", check(out))
	})
}

// itemWith is item with a custom decoder for the item's text.
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

// itemOrWhole reads a response whose envelope is not documented: {"item": …} or the object
// itself.
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

// nothing performs a call whose result is ignored: 204, or any JSON.
func (r *call) nothing(ctx context.Context) error {
	res, err := r.send(ctx)
	if err != nil || res.empty {
		return err
	}
	return res.text(anyJSON)
}
