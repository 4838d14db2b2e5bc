package wire

import (
	"encoding/json"
	"testing"
)

// BenchmarkDecode compares the codec with encoding/json, which checks none of the
// rules, on the same object.
func BenchmarkDecode(b *testing.B) {
	b.Run("wire", func(b *testing.B) {
		k := New(Options{})
		b.SetBytes(int64(len(recordJSON)))
		b.ReportAllocs()
		for b.Loop() {
			var out record
			if err := k.Decode(recordJSON, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		var out struct {
			ID     string            `json:"id"`
			Note   *string           `json:"note"`
			Count  *float64          `json:"count"`
			Kind   string            `json:"kind"`
			On     bool              `json:"on"`
			Amount json.Number       `json:"amount"`
			Names  []string          `json:"names"`
			Labels map[string]string `json:"labels"`
			Parts  []part            `json:"parts"`
			Main   *part             `json:"main"`
			Token  string            `json:"token"`
			Open   json.RawMessage   `json:"open"`
		}
		b.SetBytes(int64(len(recordJSON)))
		b.ReportAllocs()
		for b.Loop() {
			if err := json.Unmarshal([]byte(recordJSON), &out); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	k := New(Options{})
	var in record
	if err := k.Decode(recordJSON, &in); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Encode(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRedact(b *testing.B) {
	b.SetBytes(int64(len(recordJSON)))
	b.ReportAllocs()
	for b.Loop() {
		if ByKey().Apply(recordJSON) == nil {
			b.Fatal("not JSON")
		}
	}
}
