package config

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Error is everything that is wrong with a configuration, found in one pass.
type Error struct {
	Problems []Problem // sorted by place; at least one
	Warnings []string  // what was found besides the problems, see [Config]
}

// Error is one line per problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// MarshalJSON writes the list of problems.
func (e *Error) MarshalJSON() ([]byte, error) { return json.Marshal(e.Problems) }

// Problem is one thing that is wrong: where it is and what to do about it. It
// never repeats a value that may be a secret.
type Problem struct {
	File   string `json:"file"`   // the file, or the environment variable or the flag
	Line   int    `json:"line"`   // from 1; 0 outside a file
	Column int    `json:"column"` // from 1; 0 when only the line is known
	Key    string `json:"key"`    // heartbeat.interval; empty when it concerns the whole file
	Text   string `json:"text"`   // what is wrong, as the end of a sentence that begins with the key
}

// String is the problem on one line: file:line:column: key: text.
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
		if p.Column > 0 {
			s += ":" + strconv.Itoa(p.Column)
		}
	}
	for _, part := range []string{p.Key, p.Text} {
		if s != "" && part != "" {
			s += ": "
		}
		s += part
	}
	return s
}

// sortProblems orders by place: each file from top to bottom, then the environment and
// the flags by name.
func sortProblems(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		outside := func(p Problem) int {
			if p.Line == 0 {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(outside(a), outside(b)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key))
	})
}

// nearest is the candidate that was probably meant by name, or "". Letters
// omitted, added, changed or swapped count one each, and a third of them may be
// wrong; a word that is the beginning of the other (warning for warn) also matches.
func nearest(name string, candidates []string) string {
	if len(name) > 64 {
		return ""
	}
	best, least := "", max(1, len(name)/3)+1
	for _, c := range candidates {
		if len(name) > 3 && len(c) > 3 && (strings.HasPrefix(name, c) || strings.HasPrefix(c, name)) {
			return c
		}
		if d := typingErrors(name, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// typingErrors is the restricted Damerau-Levenshtein distance, in bytes.
func typingErrors(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// quoteBrief shows a value or name in an error: quoted, and cut when it is long.
func quoteBrief(s string) string {
	if r := []rune(s); len(r) > 40 {
		return strconv.Quote(string(r[:40])) + "…"
	}
	return strconv.Quote(s)
}

// safeKey shows a key of the file: unchanged if it is an ordinary word, else
// quoted.
func safeKey(key string) string {
	if len(key) > 40 || TextFault(key) != "" || key == "" {
		return quoteBrief(key)
	}
	return key
}
