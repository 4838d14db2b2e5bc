package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// runHere runs the services that no machine provides. The result depends on the input alone, so
// that tests can predict it. No provider is called.
func (s *Server) runHere(_ *call, j job) (result, error) {
	in := &members{path: "input."}
	if json.Unmarshal(j.input, &in.all) != nil {
		return failure("VALIDATION_ERROR", "input is not an object"), nil
	}
	var value map[string]any
	switch j.operation {
	case "store-blob":
		value = s.storeBlob(in)
	case "read-blob":
		value = s.readBlob(in)
	case "get-price":
		value = priceOf(in)
	case "get-depth":
		value = depthOf(in)
	case "resolve-location":
		value = cellOf(in)
	case "get-correction":
		value = correctionFor(in)
	case "inspect-site":
		value = inspection(in)
	case "deploy-workload":
		value = map[string]any{"deploymentId": "dep_" + digest(in.required("image"))[:12], "status": "active"}
	case "get-status":
		value = map[string]any{"deploymentId": in.required("deploymentId"), "status": "active"}
	default:
		return result{}, fail("EXECUTION_UNSUPPORTED", "this sandbox cannot run the operation "+j.operation)
	}
	if in.err != nil {
		return failure("VALIDATION_ERROR", strings.TrimPrefix(in.err.Error(), "VALIDATION_ERROR: ")), nil
	}
	return result{value: object(value), externalRef: j.service.ProviderKey + ":" + digest(j.operation + string(j.input))[:16]}, nil
}

// digest returns SHA-256 in hex.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// number maps a text to a number below n, always the same.
func number(text string, n uint64) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:8]) % n
}

// blob is what store-blob stores and read-blob returns.
type blob struct {
	Content []byte `json:"content"`
}

// maxBlob limits one blob, in bytes.
const maxBlob = 16 << 10

func (s *Server) storeBlob(in *members) map[string]any {
	content := []byte(in.long("content"))
	if encoded := in.long("contentBase64"); encoded != "" {
		var err error
		if content, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			in.fault("contentBase64", "is not base64")
		}
	}
	switch {
	case len(content) == 0:
		in.fault("content", "or contentBase64 must not be empty")
	case len(content) > maxBlob:
		in.fault("content", fmt.Sprintf("is longer than %d bytes", maxBlob))
	}
	if in.err != nil {
		return nil
	}
	sum := sha256.Sum256(content)
	id := base64.RawURLEncoding.EncodeToString(sum[:])
	if s.st.Blobs.get(id) == nil {
		s.st.Blobs.add(s.next(), id, "", &blob{content})
		s.changed()
	}
	return map[string]any{"blobId": id, "size": len(content)}
}

func (s *Server) readBlob(in *members) map[string]any {
	id := in.required("blobId")
	b := s.st.Blobs.get(id)
	if b == nil {
		in.fault("blobId", "unknown blob")
		return nil
	}
	return map[string]any{"blobId": id, "contentBase64": base64.StdEncoding.EncodeToString(b.Content), "size": len(b.Content)}
}

// pair reads a symbol such as BTC/USD. Its price is between 0.01 and 99,999.99.
func pair(in *members) (symbol, currency string, price float64) {
	symbol = in.required("symbol")
	_, currency, ok := strings.Cut(symbol, "/")
	if !ok || currency == "" {
		in.fault("symbol", "must be a pair such as BTC/USD")
	}
	return symbol, currency, float64(number(strings.ToUpper(symbol), 9_999_999)+1) / 100
}

func priceOf(in *members) map[string]any {
	symbol, currency, price := pair(in)
	return map[string]any{"symbol": symbol, "price": price, "currency": currency}
}

func depthOf(in *members) map[string]any {
	symbol, _, price := pair(in)
	var bids, asks [][2]float64
	for i := range 5 {
		step := price * float64(i+1) / 1000
		bids = append(bids, [2]float64{round(price-step, 4), float64(5 + i)})
		asks = append(asks, [2]float64{round(price+step, 4), float64(5 + i)})
	}
	return map[string]any{"symbol": symbol, "bids": bids, "asks": asks}
}

func round(f float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(f*scale) / scale
}

// inspection reports most checks as in order.
func inspection(in *members) map[string]any {
	site := in.required("site")
	checks, sent := in.texts("checks")
	if !sent {
		checks = []string{"general"}
	}
	findings := []map[string]any{}
	for _, check := range checks {
		state := "in order"
		if number(site+"/"+check, 5) == 0 {
			state = "needs attention"
		}
		findings = append(findings, map[string]any{"check": check, "state": state})
	}
	return map[string]any{"reportId": "rep_" + digest(site)[:12], "site": site, "findings": findings}
}

// position reads latitude and longitude.
func position(in *members) (latitude, longitude float64) {
	for _, p := range []struct {
		name  string
		to    *float64
		limit float64
	}{{"latitude", &latitude, 90}, {"longitude", &longitude, 180}} {
		f, sent := in.number(p.name)
		if !sent || f < -p.limit || f > p.limit {
			in.fault(p.name, "must be a valid number of degrees")
		}
		*p.to = f
	}
	return latitude, longitude
}

// cellOf returns the geohash cell of a position.
func cellOf(in *members) map[string]any {
	latitude, longitude := position(in)
	return map[string]any{"geohash": geohash(latitude, longitude, 7), "latitude": latitude, "longitude": longitude}
}

// correctionFor invents a station in the larger cell of the position.
func correctionFor(in *members) map[string]any {
	latitude, longitude := position(in)
	cell := geohash(latitude, longitude, 4)
	return map[string]any{"station": "GEO-" + cell, "distanceKm": float64(number(cell, 200)) / 10, "mountPoint": "RTCM32_" + cell}
}

// geohash halves the globe repeatedly, alternating between longitude and latitude, with five
// halvings per character.
func geohash(latitude, longitude float64, letters int) string {
	const alphabet = "0123456789bcdefghjkmnpqrstuvwxyz"
	type span struct{ low, high float64 }
	halve := func(s *span, at float64) int {
		if mid := (s.low + s.high) / 2; at >= mid {
			s.low = mid
			return 1
		} else {
			s.high = mid
		}
		return 0
	}
	north, east := span{-90, 90}, span{-180, 180}
	out := make([]byte, letters)
	for i := range out {
		index := 0
		for bit := range 5 {
			if (i*5+bit)%2 == 0 {
				index = index<<1 | halve(&east, longitude)
			} else {
				index = index<<1 | halve(&north, latitude)
			}
		}
		out[i] = alphabet[index]
	}
	return string(out)
}
