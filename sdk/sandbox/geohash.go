package sandbox

// position reads latitude and longitude.
func position(in *members) (latitude, longitude float64) {
	for _, p := range []struct {
		name  string
		to    *float64
		limit float64
	}{{"latitude", &latitude, 90}, {"longitude", &longitude, 180}} {
		f, sent := in.number(p.name)
		if !sent || f < -p.limit || f > p.limit {
			in.fault(p.name, "must be a number of degrees on the globe")
		}
		*p.to = f
	}
	return latitude, longitude
}

func cellOf(in *members) map[string]any {
	latitude, longitude := position(in)
	return map[string]any{"geohash": geohash(latitude, longitude, 7), "latitude": latitude, "longitude": longitude}
}

// correctionFor makes a station up in the position's larger cell.
func correctionFor(in *members) map[string]any {
	latitude, longitude := position(in)
	cell := geohash(latitude, longitude, 4)
	return map[string]any{"station": "GEO-" + cell, "distanceKm": float64(number(cell, 200)) / 10, "mountPoint": "RTCM32_" + cell}
}

// geohash halves the globe again and again, east and north by turns, five halvings
// a letter.
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
