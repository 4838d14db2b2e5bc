package sandbox

import "time"

// Moment is a time in the API's format: RFC 3339 in UTC, with milliseconds and Z.
type Moment struct{ time.Time }

const momentForm = "2006-01-02T15:04:05.000Z"

func (m Moment) String() string { return m.UTC().Format(momentForm) }

// MarshalJSON encodes the zero moment as null.
func (m Moment) MarshalJSON() ([]byte, error) {
	if m.IsZero() {
		return []byte("null"), nil
	}
	b := make([]byte, 0, len(momentForm)+2)
	b = append(b, '"')
	b = m.UTC().AppendFormat(b, momentForm)
	return append(b, '"'), nil
}

// parseMoment parses a time sent by a client.
func parseMoment(s string) (Moment, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return Moment{t.UTC()}, err == nil && t.Year() > 0 && t.Year() < 10000
}
