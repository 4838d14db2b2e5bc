package sdk

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// written reads a whole stream: each frame as event|id|data, then how it ended.
func written(source io.Reader) (out []string, err error) {
	r := &sseReader{source: source}
	for {
		f, err := r.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		id := "-"
		if f.hasID {
			id = f.id
		}
		out = append(out, f.event+"|"+id+"|"+f.data)
	}
}

// TestFramesOfAStream has the framing of contract §2.19, read at once and byte by byte.
func TestFramesOfAStream(t *testing.T) {
	big := strings.Repeat("x", maxFrameData)
	comment := ":" + strings.Repeat("c", 1<<10) + "\n"
	for name, tt := range map[string]struct {
		stream, want string
		malformed    bool
	}{
		"LF":                       {"event: e\nid: 1\ndata: a\n\n", "e|1|a", false},
		"CR":                       {"event: e\rid: 1\rdata: a\r\r", "e|1|a", false},
		"CRLF":                     {"event: e\r\nid: 1\r\ndata: a\r\n\r\n", "e|1|a", false},
		"all of them":              {"event: e\rid: 1\r\ndata: a\n\r\ndata: b\n\n", "e|1|a,|-|b", false},
		"lines of data":            {"data: a\ndata\ndata:  b\n\n", "|-|a\n\n b", false},
		"no space, two spaces":     {"event:e\ndata:  a\n\n", "e|-| a", false},
		"a mark at the beginning":  {"\ufeffdata: a\n\n", "|-|a", false},
		"a mark after it":          {"data: a\n\n\ufeffdata: b\n\n", "|-|a", false},
		"comments":                 {": hello\n\n:\ndata: a\n:x\n\n", "|-|a", false},
		"other fields":             {"retry: 5\nfoo: bar\ndata: a\nDATA: b\n\n", "|-|a", false},
		"a name without data":      {"event: e\nid: 1\n\n", "e|1|", false},
		"an id without data":       {"id: 1\n\ndata: a\n\n", "|-|a", false},
		"an empty id":              {"id:\ndata: a\n\n", "||a", false},
		"the last event wins":      {"event: a\nevent: b\ndata: c\n\n", "b|-|c", false},
		"cut before its end":       {"data: a\n\ndata: b\n", "|-|a", false},
		"cut in a line":            {"data: a\n\nda", "|-|a", false},
		"ended by CR":              {"data: a\r\r", "|-|a", false},
		"data of the limit":        {"data:" + big + "\n\n", "|-|" + big, false},
		"data over the limit":      {"data:" + big + "x\n\n", "", true},
		"a newline over the limit": {"data:" + big[1:] + "\ndata:x\n\n", "", true},
		"a frame over the limit":   {"data: a\n" + strings.Repeat("zz: "+big[:1000]+"\n", 270) + "\n", "", true},
		"a line over the limit":    {"zz:" + strings.Repeat("x", maxFrame), "", true},
		"heartbeats do not count":  {strings.Repeat(comment, 400) + "data: a\n\n", "|-|a", false},
		"nor after a retry":        {"retry: 1\n" + strings.Repeat(comment, 400) + "\n", "", false},
		"but inside a frame":       {"id: 1\n" + strings.Repeat(comment, 400) + "\n", "", true},
		"data that is not UTF-8":   {"data: a\n\ndata: \xff\n\n", "|-|a", true},
		"a comment that is not":    {"data: a\n\n: \xff\n\n", "|-|a", true},
		"a cut rune at the end":    {"data: a\n\nzz\xc3", "|-|a", true},
		"an unknown field that is": {"z\xffz: a\n\n", "", true},
	} {
		for _, slow := range []bool{false, true} {
			var source io.Reader = strings.NewReader(tt.stream)
			if slow && len(tt.stream) < 1<<10 {
				source = iotest.OneByteReader(source)
			}
			got, err := written(source)
			var shape *wire.ShapeError
			if errors.As(err, &shape) != tt.malformed || (err != nil) != tt.malformed || strings.Join(got, ",") != tt.want {
				t.Errorf("%s: got %.80q, %v, want %.80q", name, got, err, tt.want)
			}
		}
	}
}

// together returns all its bytes and its error at once, as a reader may.
type together struct {
	text string
	err  error
}

func (r *together) Read(p []byte) (int, error) {
	n := copy(p, r.text)
	r.text = r.text[n:]
	if r.text != "" {
		return n, nil
	}
	return n, r.err
}

// TestWholeFramesBeforeAnError: a reader may return bytes and an error together. Whole frames
// come first; the unfinished one is dropped.
func TestWholeFramesBeforeAnError(t *testing.T) {
	broken := errors.New("broken")
	for stream, want := range map[string]string{
		"data: a\n\n": "|-|a", "data: a\n\ndata: b\n\ndata: c": "|-|a,|-|b", "data: a\r\r": "|-|a", "data: a\n": "", "": "",
	} {
		got, err := written(&together{stream, broken})
		if !errors.Is(err, broken) || strings.Join(got, ",") != want {
			t.Errorf("%q: %q, %v", stream, got, err)
		}
		if got, err := written(&together{stream, io.EOF}); err != nil || strings.Join(got, ",") != want {
			t.Errorf("%q at the end: %q, %v", stream, got, err)
		}
	}
}
