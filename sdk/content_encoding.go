package sdk

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// plainBody is a response's body without a content coding. Some gateways compress what
// was not asked for: gzip is decoded, within the limits of the decoded body. Reading a body
// with another coding is an error that names it.
func plainBody(res *http.Response) io.ReadCloser {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(res.Header.Values("Content-Encoding"), ",")))
	switch coding {
	case "", "identity":
		return res.Body
	case "gzip", "x-gzip":
		res.ContentLength = -1 // it is that of the coded body
		return &gzipBody{coded: res.Body}
	}
	return &unreadableBody{res.Body, &contentCodingError{
		fmt.Sprintf("the response has the content coding %q, which was not asked for", wire.OneLine(coding)),
	}}
}

// gzipBody decodes a body. A gateway that only claims to have compressed an empty body is
// taken at its bytes.
type gzipBody struct {
	coded   io.ReadCloser
	decoded *gzip.Reader
	err     error
}

func (b *gzipBody) Read(p []byte) (int, error) {
	if b.decoded == nil && b.err == nil {
		b.decoded, b.err = gzip.NewReader(b.coded)
		if b.err != nil && !errors.Is(b.err, io.EOF) {
			b.err = &contentCodingError{"the header Content-Encoding says gzip, but the body is not gzip"}
		}
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.decoded.Read(p)
}

func (b *gzipBody) Close() error { return b.coded.Close() }

// unreadableBody is a body with a coding that nobody asked for.
type unreadableBody struct {
	io.ReadCloser
	err error
}

func (b *unreadableBody) Read([]byte) (int, error) { return 0, b.err }

// contentCodingError is a body whose coding cannot be decoded.
type contentCodingError struct{ text string }

func (e *contentCodingError) Error() string { return e.text }

func isCoding(err error) bool {
	var coding *contentCodingError
	return errors.As(err, &coding)
}

// withoutMark removes the byte order mark that some servers write before JSON.
func withoutMark(text string) string { return strings.TrimPrefix(text, "\ufeff") }
