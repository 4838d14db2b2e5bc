package sdk

import (
	"net/http"
	"strconv"
	"time"
)

// retryAfter reads the Retry-After header, seconds or a date. A date is relative to the
// response's own Date, so that a wrong clock on the device does not matter; a date in the
// past is zero.
func retryAfter(h http.Header, date, now time.Time) (time.Duration, bool) {
	value := h.Get("Retry-After")
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds < 0 {
			return 0, false
		}
		return time.Duration(min(seconds, int64(maxRetryAfter/time.Second))) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if date.IsZero() {
		date = now
	}
	return min(max(at.Sub(date), 0), maxRetryAfter), true
}

// maxRetryAfter keeps an absurd header from overflowing a duration. Callers have their own
// limits.
const maxRetryAfter = 365 * 24 * time.Hour
