package sdk

import (
	"net/http"
	"strconv"
	"time"
)

// Meta is what an answer's head says: it is part of every single result and of
// every page. Items inside a page carry none.
type Meta struct {
	Status int       // HTTP status
	Date   time.Time // the server's clock, from the Date header; zero when absent
}

// retryAfter reads the Retry-After header in both forms, relative to the
// answer's own Date, so that a wrong clock on the device changes nothing. A time
// that has passed is zero.
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

// maxRetryAfter keeps an absurd header from overflowing a duration. Callers have
// caps of their own.
const maxRetryAfter = 365 * 24 * time.Hour

func dateOf(h http.Header) time.Time {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}
