package status

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// writer lays out the lines of a view.
type writer struct {
	TextOptions
	text strings.Builder
}

// line writes one line as it is, but for what the terminal does not show.
func (w *writer) line(text string) {
	if w.ASCII {
		text = toASCII(text)
	}
	w.text.WriteString(strings.TrimRight(text, " ") + "\n")
}

// labels writes one label a line, the values aligned and wrapped under themselves.
func (w *writer) labels(labels []label) {
	column := 0
	for _, l := range labels {
		column = max(column, utf8.RuneCountInString(l.name))
	}
	for _, l := range labels {
		head := "  " + l.name + ":" + strings.Repeat(" ", column-utf8.RuneCountInString(l.name)+2)
		broken := wrap
		if l.name == nextLabel {
			broken = wrapCommand
		}
		for _, part := range broken(escape(l.value), w.Width-len(head)) {
			w.line(head + part)
			head = strings.Repeat(" ", len(head))
		}
	}
}

// endpoints writes the endpoints of a machine as a table.
func (w *writer) endpoints(m MachineView) {
	if len(m.Endpoints) > 0 {
		w.table(m.table())
	}
}

// table writes an empty line and a table, or one row below the other where the terminal
// is too narrow for it.
func (w *writer) table(rows [][]string) {
	for _, row := range rows {
		for i := range row {
			row[i] = escape(row[i])
		}
	}
	lines := table(rows)
	if w.Width > 0 && slices.ContainsFunc(lines, func(l string) bool { return utf8.RuneCountInString(l) > w.Width }) {
		for _, row := range rows[1:] {
			w.line("")
			var labels []label
			for i, cell := range row {
				labels = append(labels, label{rows[0][i], cell})
			}
			w.labels(labels)
		}
		return
	}
	w.line("")
	for _, line := range lines {
		w.line(line)
	}
}

// Table writes rows of cells below each other, the first of them as a header. Where the
// terminal is too narrow for it, each row is written as labels and values. No cell can
// move the cursor or start a line of its own.
func Table(rows [][]string, o TextOptions) string {
	w := writer{TextOptions: o}
	w.table(rows)
	return strings.TrimPrefix(w.text.String(), "\n")
}

// table aligns the columns and draws a rule below the header row.
func table(rows [][]string) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("─", width)
	}
	var lines []string
	for _, row := range slices.Insert(slices.Clone(rows), 1, rule) {
		line := " "
		for i, cell := range row {
			line += " " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + " "
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}

// wrap breaks text at spaces so that no part is wider than width, words that are
// wider by themselves apart. A width of less than 20 columns does not wrap: narrower
// text is harder to read than a line that the terminal breaks.
func wrap(text string, width int) []string {
	if width < 20 {
		return []string{text}
	}
	var parts []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			parts = append(parts, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(parts, line)
}

// nextLabel is the label of a command that a person can run as printed.
const nextLabel = "Next"

// wrapCommand breaks a command so that a shell still reads it as one when it is copied. One
// with a quoted word is left to the terminal.
func wrapCommand(text string, width int) []string {
	if strings.Contains(text, "'") {
		return []string{text}
	}
	parts := wrap(text, width-len(` \`))
	for i := range len(parts) - 1 {
		parts[i] += ` \`
	}
	return parts
}

// paint colors a state: green for online, yellow for what is published in part or
// not at all by choice of the runtimes, red for the rest.
func (o TextOptions) paint(state string) string {
	if !o.Color {
		return escape(state)
	}
	code := "31"
	switch State(state) {
	case Online:
		code = "32"
	case Idle, Degraded:
		code = "33"
	}
	return "\x1b[" + code + "m" + escape(state) + "\x1b[0m"
}

// toASCII writes our own typography in ASCII; anything else that is not ASCII
// becomes an escape sequence.
func toASCII(text string) string {
	text = strings.NewReplacer("—", "-", "─", "-", "…", "...").Replace(text)
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			b.WriteString(escapeRune(r))
		}
	}
	return b.String()
}
