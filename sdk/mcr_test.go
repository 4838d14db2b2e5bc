package sdk_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// sequence is a transport without a network, for synctest bubbles: each request gets the
// next response, and the last one is repeated.
type sequence struct {
	responses []canned
	seen      []*http.Request
	bodies    []string
	at        []time.Time
}

type canned struct {
	status int
	header [2]string
	body   string
	err    error
}

func (a *sequence) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		body = string(text)
	}
	a.seen, a.bodies, a.at = append(a.seen, r), append(a.bodies, body), append(a.at, time.Now())
	next := a.responses[min(len(a.seen), len(a.responses))-1]
	if next.err != nil {
		return nil, next.err
	}
	header := http.Header{}
	if next.header[0] != "" {
		header.Set(next.header[0], next.header[1])
	}
	return &http.Response{
		StatusCode: next.status, Header: header, Body: io.NopCloser(strings.NewReader(next.body)),
		ContentLength: int64(len(next.body)), Request: r,
	}, nil
}

func mcrOf(t *testing.T, base string, responses ...canned) (*sdk.MCR, *sequence) {
	t.Helper()
	turn := &sequence{responses: responses}
	m, err := sdk.NewMCR(base, sdk.WithHTTPClient(&http.Client{Transport: turn}))
	if err != nil {
		t.Fatal(err)
	}
	return m, turn
}

const ratingJSON = `{"did":"did:peaq:42","machine_id":"42","mcr_score":71,"mcr":"A",
	"bond_status":"bonded","negative_flag":false,"event_count":9,
	"revenue_event_count":4,"activity_event_count":5,"revenue_trend":null,"total_revenue":12.5,
	"average_revenue_per_event":null,"last_updated":null,
	"mcr_degraded":false,"home_chain":1,"later":{"x":1}}`

func TestMCRRating(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string // a change of the good response
		good     bool
	}{
		"as it should be":         {"", "", true},
		"a number as the id":      {`"machine_id":"42"`, `"machine_id":42`, true}, // release 0.2.0
		"a new rating":            {`"mcr":"A"`, `"mcr":"AAAA"`, true},
		"a null score":            {`"mcr_score":71`, `"mcr_score":null`, true}, // release 0.2.0
		"no mcr":                  {`"mcr":"A",`, ``, false},
		"no revenue_trend":        {`"revenue_trend":null,`, ``, false},
		"null events":             {`"event_count":9`, `"event_count":null`, false},
		"another machine":         {`"did":"did:peaq:42"`, `"did":"did:peaq:43"`, false},
		"another number":          {`"machine_id":"42"`, `"machine_id":"43"`, false},
		"a number with a zero":    {`"machine_id":"42"`, `"machine_id":"042"`, false},
		"a number with a dot":     {`"machine_id":"42"`, `"machine_id":42.0`, false},
		"an address for a number": {`"did":"did:peaq:42"`, `"did":"did:peaq:0x2a"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, turn := mcrOf(t, "https://mcr.example/base//", canned{status: 200, body: strings.Replace(ratingJSON, c.old, c.new, 1)})
			got, err := m.Rating(t.Context(), "42")
			if r := turn.seen[0]; r.Method != "GET" || r.URL.String() != "https://mcr.example/base/mcr/did:peaq:42" ||
				len(r.Header["X-Api-Key"]) > 0 {
				t.Errorf("asked %s %s", r.Method, r.URL)
			}
			if !c.good {
				if got != nil || !errors.Is(err, sdk.ErrMalformed) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || !got.Bonded() || got.MachineID != "42" || got.TotalRevenue != "12.5" ||
				got.AverageRevenuePerEvent.IsSet() || got.HomeChain.Value() != 1 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// TestMCRErrors has the table of §2.6 of the mcr contract.
func TestMCRErrors(t *testing.T) {
	elsewhere := `{"detail":{"code":"MACHINE_HOMED_ELSEWHERE","message":"on chain 5","home_protocol_chain_id":5}}`
	for _, c := range []struct {
		status            int
		body              string
		code, serverCode  string
		retries, notFound bool
	}{
		{400, `{"detail":"bad"}`, sdk.MCRInvalidRequest, "", false, false},
		{401, ``, sdk.MCRUnauthorized, "", false, false},
		{403, `{"detail":{"code":"UNAUTHORIZED_SIGNER","message":"m"}}`, sdk.MCRUnauthorized, "UNAUTHORIZED_SIGNER", false, false},
		{404, `{"detail":{"code":"MACHINE_NOT_FOUND","message":"m"}}`, sdk.MCRNotFound, "MACHINE_NOT_FOUND", false, true},
		{409, elsewhere, sdk.MCRHomedElsewhere, "MACHINE_HOMED_ELSEWHERE", false, false},
		{409, `{"detail":{"code":"STALE_SIGNATURE","message":"m"}}`, sdk.MCRConflict, "STALE_SIGNATURE", false, false},
		{418, ``, sdk.MCRHTTPError, "", false, false},
		{422, `{"detail":[{"loc":["path"],"msg":"m"}]}`, sdk.MCRHTTPError, "", false, false},
		{429, ``, sdk.MCRHTTPError, "", true, false},
		{500, `<html>`, sdk.MCRServerError, "", false, false},
		{502, ``, sdk.MCRServerError, "", false, false},
		{503, `{"detail":{"code":"CHAIN_UNAVAILABLE","message":"m"}}`, sdk.MCRServiceUnavailable, "CHAIN_UNAVAILABLE", true, false},
		{200, ``, sdk.MCRBadResponse, "", false, false},
		{200, `no`, sdk.MCRBadResponse, "", false, false},
		{204, ``, sdk.MCRBadResponse, "", false, false},
		{302, ``, sdk.MCRHTTPError, "", false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			m, turn := mcrOf(t, "https://mcr.example", canned{status: c.status, body: c.body})
			got, err := m.Rating(t.Context(), "42")
			var fault *sdk.MCRError
			if got != nil || !errors.As(err, &fault) {
				t.Fatalf("%d gave %+v, %v", c.status, got, err)
			}
			if fault.Code != c.code || fault.ServerCode != c.serverCode || fault.StatusCode != c.status {
				t.Errorf("%d %s gave %+v", c.status, c.body, fault)
			}
			if errors.Is(err, sdk.ErrNotFound) != c.notFound || errors.Is(err, sdk.ErrRetryable) != c.retries {
				t.Errorf("%d means %v", c.status, err)
			}
			if want := map[bool]int{false: 1, true: 2}[c.retries]; len(turn.seen) != want {
				t.Errorf("%d was asked %d times, not %d", c.status, len(turn.seen), want)
			}
			if c.code == sdk.MCRHomedElsewhere && fault.HomeChain.Value() != 5 {
				t.Errorf("the home chain is %v", fault.HomeChain)
			}
		})
	}
}

func TestMCRRetriesOnce(t *testing.T) {
	good := canned{status: 200, body: ratingJSON}
	for name, c := range map[string]struct {
		first canned
		waits time.Duration
		again bool
	}{
		"a connection that failed": {canned{err: errors.New("reset")}, time.Second, true},
		"503":                      {canned{status: 503}, time.Second, true},
		"429 that says when":       {canned{status: 429, header: [2]string{"Retry-After", "3"}}, 3 * time.Second, true},
		"429 that asks too much":   {canned{status: 429, header: [2]string{"Retry-After", "60"}}, 0, false},
		"404":                      {canned{status: 404}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, turn := mcrOf(t, "https://mcr.example", c.first, good)
				_, err := m.Rating(t.Context(), "42")
				if (err == nil) != c.again || len(turn.seen) != map[bool]int{true: 2, false: 1}[c.again] {
					t.Fatalf("%v after %d requests", err, len(turn.seen))
				}
				if waited := turn.at[len(turn.at)-1].Sub(turn.at[0]); waited != c.waits {
					t.Errorf("waited %v, want %v", waited, c.waits)
				}
			})
		})
	}
}

func TestMCRArgumentsNeverLeaveThePath(t *testing.T) {
	m, turn := mcrOf(t, "https://mcr.example", canned{status: 200, body: ratingJSON})
	for _, number := range []string{"", "042", "-1", "4 2", "0x2a", "42/..", "1" + strings.Repeat("0", 78)} {
		if _, err := m.Rating(t.Context(), number); err == nil {
			t.Errorf("%q was asked", number)
		}
	}
	for _, address := range []string{"", "0x", "0x/../a?x", vectorAddress[:41], "0X" + vectorAddress[2:], vectorAddress + "\n"} {
		if _, err := m.Fleet(t.Context(), address); err == nil {
			t.Errorf("%q was asked", address)
		}
	}
	if len(turn.seen) != 0 {
		t.Errorf("%d requests were sent", len(turn.seen))
	}
}

func TestMCRMachineAndFleet(t *testing.T) {
	profile := `{"schema_version":"1","name":"Rover","peaqos":{"machine_id":"42","did":"did:peaq:42",
		"operator":null,"mcr":"Provisioned","mcr_score":null,
		"bond_status":"unbonded","negative_flag":false,"event_count":0,"data_visibility":"public",
		"documentation_url":null,"owner":"0xabc","home_chain":5,
		"relocating":true,"event_data":"of another type"}}`
	m, turn := mcrOf(t, "https://mcr.example", canned{status: 200, body: profile})
	got, err := m.Machine(t.Context(), "42")
	if err != nil || got.Name != "Rover" || got.Machine.Operator != "" || got.Machine.HomeChain.Value() != 5 ||
		!got.Machine.Relocating.Value() {
		t.Errorf("got %+v, %v", got, err)
	}
	if turn.seen[0].URL.Path != "/machine/did:peaq:42" {
		t.Errorf("asked %s", turn.seen[0].URL)
	}
	did := "did:peaq:" + strings.ToLower(vectorAddress)
	fleet := `{"operator_did":"` + did + `","machines":[{"did":"did:peaq:42","machine_id":"42","mcr_score":71,
		"mcr":"A","negative_flag":false}],
		"pagination":{"offset":0,"limit":50,"total":2}}`
	for name, c := range map[string]struct {
		old, new string
		good     bool
	}{
		"as it should be":    {"", "", true},
		"another operator":   {did, "did:peaq:0x" + strings.Repeat("1", 40), false},
		"two numbers in one": {`"machine_id":"42"`, `"machine_id":"43"`, false},
		"no pagination":      {`"limit":50,`, ``, false},
	} {
		m, turn := mcrOf(t, "https://mcr.example", canned{status: 200, body: strings.Replace(fleet, c.old, c.new, 1)})
		got, err := m.Fleet(t.Context(), vectorAddress)
		if turn.seen[0].URL.Path != "/operator/did:peaq:"+vectorAddress+"/machines" {
			t.Errorf("asked %s", turn.seen[0].URL)
		}
		switch {
		case !c.good && (got != nil || !errors.Is(err, sdk.ErrMalformed)):
			t.Errorf("%s: got %+v, %v", name, got, err)
		case c.good && (err != nil || len(got.Machines) != 1 || got.Complete()):
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}
