// Command picture draws what a command prints as an SVG picture of a terminal.
//
//	bin/peaqos-agent demo | (cd tools && go run ./picture -title "make demo") > docs/demo.svg
//
// Lines are wrapped at the width of the picture. Columns of the demo's lines (time, step,
// text) get their own colours; the picture contains no script and no outside reference.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"html"
	"io"
	"os"
	"regexp"
	"strings"
)

const (
	columns    = 112 // characters of a line
	charWidth  = 8.0 // pixels, at a font of 13.33 px
	lineHeight = 20
	margin     = 16
	bar        = 30 // height of the title
)

// stepLine is a line of the demo: when, which step, and what happened.
var stepLine = regexp.MustCompile(`^( *[0-9.]+ s)( +)(\S+(?: \S+)?)( {2,})(.*)$`)

func main() {
	title := flag.String("title", "", "the command, in the title")
	flag.Parse()
	if err := draw(os.Stdin, os.Stdout, *title); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// draw reads lines and writes the picture.
func draw(r io.Reader, w io.Writer, title string) error {
	var lines []string
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		lines = append(lines, wrap(scanner.Text())...)
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	width := int(columns*charWidth) + 2*margin
	height := bar + len(lines)*lineHeight + margin
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img">
<title>Output of %s</title>
<style>text{font:13.33px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d6dde6;white-space:pre}
.t{fill:#7d8b99}.s{fill:#5cc8ff}.h{fill:#aab6c2}</style>
<rect width="100%%" height="100%%" rx="8" fill="#10161d"/>
<text class="h" x="%d" y="20">$ %s</text>
`, width, height, html.EscapeString(title), margin, html.EscapeString(title))
	for i, line := range lines {
		y := bar + i*lineHeight + lineHeight - 6
		fmt.Fprintf(out, `<text x="%d" y="%d" xml:space="preserve">%s</text>`+"\n", margin, y, coloured(line))
	}
	fmt.Fprintln(out, "</svg>")
	return out.Flush()
}

// coloured marks time and step of a line.
func coloured(line string) string {
	m := stepLine.FindStringSubmatch(line)
	if m == nil {
		return html.EscapeString(line)
	}
	return fmt.Sprintf(`<tspan class="t">%s</tspan>%s<tspan class="s">%s</tspan>%s%s`,
		html.EscapeString(m[1]), m[2], html.EscapeString(m[3]), m[4], html.EscapeString(m[5]))
}

// wrap cuts a line at words and continues it below its text.
func wrap(line string) []string {
	indent := 0
	if m := stepLine.FindStringSubmatch(line); m != nil {
		indent = len(m[1]) + len(m[2]) + len(m[3]) + len(m[4])
	}
	var all []string
	for len([]rune(line)) > columns {
		runes := []rune(line)
		cut := columns
		for cut > indent+20 && runes[cut] != ' ' {
			cut--
		}
		all = append(all, string(runes[:cut]))
		line = strings.Repeat(" ", indent) + strings.TrimLeft(string(runes[cut:]), " ")
	}
	return append(all, line)
}
