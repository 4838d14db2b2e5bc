package telemetry

import (
	"fmt"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// The bar of the recent heartbeats: one column for each, the latest on the right.
const (
	barColumns = 60
	barStep    = 4 // units from one column to the next, of which three are drawn
	barHeight  = 24
	barFailed  = 10 // height of a heartbeat that was not accepted
)

// beatBar are the recent heartbeats of a machine as two outlines of an SVG, and in words.
type beatBar struct {
	Accepted, Failed string // path data
	Text             string
}

// newBeatBar returns nil when there is nothing to draw.
func newBeatBar(beats []status.BeatView) *beatBar {
	if len(beats) == 0 {
		return nil
	}
	beats = beats[max(0, len(beats)-barColumns):]
	var accepted, failed strings.Builder
	counts := map[string]int{}
	for i, b := range beats {
		out, height := &accepted, barHeight
		if b.Result != status.HeartbeatResults()[0] {
			out, height = &failed, barFailed
		}
		fmt.Fprintf(out, "M%d %dh3v%dh-3z", (barColumns-len(beats)+i)*barStep, barHeight-height, height)
		counts[b.Result]++
	}
	bar := &beatBar{Accepted: accepted.String(), Failed: failed.String(), Text: fmt.Sprintf("last %d heartbeats", len(beats))}
	if len(beats) == 1 {
		bar.Text = "last heartbeat"
	}
	separator := ": "
	for _, result := range status.HeartbeatResults() {
		if n := counts[result]; n > 0 {
			name := result
			if name == "success" {
				name = "accepted"
			}
			bar.Text += fmt.Sprintf("%s%d %s", separator, n, name)
			separator = ", "
		}
	}
	return bar
}
