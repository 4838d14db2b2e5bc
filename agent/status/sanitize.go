package status

import (
	"fmt"
	"strconv"
)

// Sanitize makes a remote's text safe to show: one line, bounded, escaped.
func Sanitize(text string) string {
	if text == "" {
		return ""
	}
	quoted := strconv.QuoteToGraphic(fmt.Sprintf("%.200s", text))
	return quoted[1 : len(quoted)-1]
}
