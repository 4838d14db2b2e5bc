package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax reports text that is no YAML; nothing after it is known.
func (l *loader) syntax(text []byte, err error) {
	l.unread = true
	o := Origin{Kind: "file", Name: l.file}
	what := err.Error()
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		o.Line, _ = strconv.Atoi(m[1])
		what = what[len(m[0]):]
	}
	if line := breaksAt(text); line > 0 {
		o.Line = line
	}
	if strings.Contains(what, "cannot start any token") {
		what += "; a tab may stand where spaces belong, or a value that begins with @ or ` needs quotes"
	}
	l.faultAt(o, "", "is not YAML: "+strings.ToValidUTF8(what, "?"))
}

// breaksAt is the first line without which the text above it would be YAML. The
// parser itself names the line where the broken block begins, which may be pages
// higher. It parses once per line, so it leaves long files alone (0).
func breaksAt(text []byte) int {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines) > 500 || len(text) > 16<<10 {
		return 0
	}
	end := len(text)
	for n := len(lines); n > 0; n-- {
		end -= len(lines[n-1])
		dec := yaml.NewDecoder(bytes.NewReader(text[:end]))
		var doc yaml.Node
		err := dec.Decode(&doc)
		for err == nil {
			err = dec.Decode(&doc)
		}
		if errors.Is(err, io.EOF) {
			return n
		}
	}
	return 0
}
