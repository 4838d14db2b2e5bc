package status

import (
	"slices"
	"time"
)

// Histogram counts durations in buckets, in the form that a Prometheus scrape needs.
// It is part of the state, so that the state is the only place where anything is
// counted.
type Histogram struct {
	Bounds []float64 // upper bounds in seconds, ascending
	Counts []uint64  // per bound, not cumulative; Count includes values above the last bound
	Count  uint64
	Sum    float64 // seconds
}

// NewBeatHistogram returns a histogram for requests to the orchestrator, 50 ms to a
// minute.
func NewBeatHistogram() Histogram {
	return newHistogram(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
}

// NewProbeHistogram returns a histogram for local probes, 1 ms to 3 s.
func NewProbeHistogram() Histogram { return newHistogram(0.001, 0.005, 0.025, 0.1, 0.5, 1, 3) }

func newHistogram(bounds ...float64) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds))}
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	s := d.Seconds()
	h.Count++
	h.Sum += s
	if i, _ := slices.BinarySearch(h.Bounds, s); i < len(h.Bounds) {
		h.Counts[i]++
	}
}

func (h Histogram) clone() Histogram {
	h.Counts = slices.Clone(h.Counts)
	return h
}
