package agent

import "time"

// Values that the orchestrator writes, checked before they are stored or shown.

// maxYears is how far from now a time of the orchestrator may be.
const maxYears = 10

// plausibleTime reads a time in RFC 3339. The zero time means that there is none: the
// text is not a time, or one that is more than ten years from now.
func plausibleTime(text string, now time.Time) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Before(now.AddDate(-maxYears, 0, 0)) || t.After(now.AddDate(maxYears, 0, 0)) {
		return time.Time{}
	}
	return t.UTC()
}
