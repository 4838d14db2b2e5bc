package agent

import (
	"fmt"
	"strconv"
)

// Foreign makes a remote's text safe to show: one line, bounded, escaped.
func Foreign(text string) string {
	if text == "" {
		return ""
	}
	quoted := strconv.QuoteToGraphic(fmt.Sprintf("%.200s", text))
	return quoted[1 : len(quoted)-1]
}
