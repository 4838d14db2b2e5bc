package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

const (
	deviceSource = `{"cseId":"cse","resourceId":"r"}`
	openState    = `{"deviceId":"dev","resource":"state","value":"OPEN","observedAt":"t","receivedAt":"t",` +
		`"commandId":"cmd","source":` + deviceSource + `}`
	openAck = `{"commandId":"cmd","status":"applied","observedAt":"t","source":` + deviceSource + `}`
	opened  = `{"deviceId":"dev","commandId":"cmd","action":"OPEN","status":"applied","submittedAt":"t",` +
		`"expiresAt":"t","acknowledgement":` + openAck + `,"state":` + openState + `}`
	timedOut = `{"deviceId":"dev","commandId":"cmd","action":"OPEN","status":"timed-out","submittedAt":null,` +
		`"expiresAt":"t","acknowledgement":null,"state":null}`
)

// actionResponse is the response to executing an action order.
func actionResponse(outcome string) string {
	return `{"order":{"id":"o","machineId":"m","agentPairingId":"p","serviceId":"s",
		"providerKey":"onem2m","executionMode":"native","integrationStatus":"native",
		"operation":"execute-action","status":"delivered","input":{"deviceId":"dev","action":"OPEN","commandId":"cmd"},
		"createdAt":"t","updatedAt":"t",
		"payment":{"required":false,"defaultRail":"not-required","supportedRails":["not-required"]}},
		"execution":{"statusCode":200,"task":{},"route":{},"run":{"id":"r","status":"completed"},"outcome":` + outcome + `}}`
}

// TestActionOutcomes: only completed and applied means that the action was performed. An
// outcome must be consistent with itself and with the command (contract §2.18).
func TestActionOutcomes(t *testing.T) {
	change := func(text, old, by string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("%s is not in %s", old, text)
		}
		return strings.Replace(text, old, by, 1)
	}
	completed := func(result string) string { return `{"status":"completed","result":` + result + `}` }
	failed := func(rest string) string { return `{"status":"failed"` + rest + `}` }
	code := `,"errorCode":"ONEM2M_ACTION_TIMEOUT"`
	for name, tt := range map[string]struct {
		outcome       string
		good, applied bool
	}{
		"opened":                        {completed(opened), true, true},
		"completed without a result":    {`{"status":"completed"}`, false, false},
		"completed and null":            {completed(`null`), false, false},
		"completed and not applied":     {completed(timedOut), false, false},
		"for another command":           {completed(strings.ReplaceAll(opened, "cmd", "other")), false, false},
		"for another device":            {completed(strings.ReplaceAll(opened, "dev", "other")), false, false},
		"acknowledged another command":  {completed(change(opened, openAck, change(openAck, "cmd", "other"))), false, false},
		"acknowledged as rejected":      {completed(change(opened, openAck, change(openAck, "applied", "rejected"))), false, false},
		"without an acknowledgement":    {completed(change(opened, openAck, "null")), false, false},
		"the state of another command":  {completed(change(opened, openState, change(openState, "cmd", "other"))), false, false},
		"the state of another resource": {completed(change(opened, openState, change(openState, "state", "other"))), false, false},
		"another state":                 {completed(change(opened, openState, change(openState, "OPEN", "SHUT"))), false, false},
		"without a state":               {completed(change(opened, openState, "null")), false, false},
		"not submitted":                 {completed(change(opened, `"submittedAt":"t"`, `"submittedAt":null`)), false, false},
		"failed without a code":         {failed(``), false, false},
		"failed with an empty code":     {failed(`,"errorCode":""`), false, false},
		"failed with a null code":       {failed(`,"errorCode":null`), false, false},
		"failed":                        {failed(code), true, false},
		"failed for an unknown reason":  {failed(`,"errorCode":"SOMETHING_NEW","errorMessage":"m"`), true, false},
		"failed with an empty message":  {failed(code + `,"errorMessage":""`), false, false},
		"failed and not applied":        {failed(code + `,"result":` + timedOut), true, false},
		"failed and applied":            {failed(code + `,"result":` + opened), true, false},
		"failed with a null result":     {failed(code + `,"result":null`), false, false},
		"not applied for another":       {failed(code + `,"result":` + change(timedOut, "cmd", "other")), false, false},
		"not applied, another's word": {failed(code + `,"result":` + change(
			timedOut, `"acknowledgement":null`, `"acknowledgement":`+change(openAck, "cmd", "other"),
		)), false, false},
		"not applied, without its state": {failed(code + `,"result":` + change(timedOut, `,"state":null`, ``)), false, false},
		"an unknown status":              {completed(change(opened, `"status":"applied"`, `"status":"maybe"`)), false, false},
	} {
		c, _ := serve(t, reply{body: actionResponse(tt.outcome)})
		got, err := c.OneM2M.ExecuteOrder(context.Background(), "o", NewSecret("t"))
		switch {
		case tt.good && (err != nil || got.Execution.Applied() != tt.applied):
			t.Errorf("%s: got %v, %v", name, got, err)
		case !tt.good && !errors.Is(err, ErrMalformed):
			t.Errorf("%s: got %v, want a malformed response", name, err)
		}
	}
}

func TestUnitsOfAValue(t *testing.T) {
	for text, good := range map[string]bool{
		`"celsius"`: true, `{"t_C":"celsius"}`: true, `{}`: true, `""`: false, `null`: false, `7`: false,
		`[]`: false, `{"t":7}`: false, `{"t":null}`: false,
	} {
		var sample OneM2MSample
		raw := strings.Replace(openState, `"value"`, `"units":`+text+`,"value"`, 1)
		if !json.Valid([]byte(raw)) {
			t.Fatal(raw)
		}
		if err := newCodec(true).Decode(raw, &sample); (err == nil) != good {
			t.Errorf("units %s: %v", text, err)
		}
	}
}

// TestOneM2MResponsesToPlainRequests: the response to a plain request is read in the strict
// form if it is of oneM2M; only the response decides.
func TestOneM2MResponsesToPlainRequests(t *testing.T) {
	ctx, token := context.Background(), NewSecret("t")
	good := actionResponse(`{"status":"failed","errorCode":"X"}`)
	order := good[len(`{"order":`):strings.Index(good, `,
		"execution"`)]
	item := `{"item":` + order + `}`
	other := strings.Replace(item, `"onem2m"`, `"walrus"`, 1)
	for name, tt := range map[string]struct {
		body string
		call func(c *Client) error
		good bool
	}{
		"get with a token":     {item, func(c *Client) error { return second(c.MarketOrders.Get(ctx, "o", Some(token))) }, true},
		"get of another order": {item, func(c *Client) error { return second(c.MarketOrders.Get(ctx, "x", Some(token))) }, false},
		"get without a token": {item, func(c *Client) error {
			return second(c.MarketOrders.Get(ctx, "o", Optional[Secret]{}))
		}, false},
		"get with a token, of another":  {other, func(c *Client) error { return second(c.MarketOrders.Get(ctx, "o", Some(token))) }, false},
		"typed get of another provider": {other, func(c *Client) error { return second(c.OneM2M.GetOrder(ctx, "o", token)) }, false},
		"a stored null execution": {
			strings.Replace(item, `{"item"`, `{"execution":null,"item"`, 1),
			func(c *Client) error { return second(c.OneM2M.GetOrder(ctx, "o", token)) }, false,
		},
		"execute of another order": {good, func(c *Client) error { return second(c.OneM2M.ExecuteOrder(ctx, "x", token)) }, false},
	} {
		c, _ := serve(t, reply{body: tt.body})
		if err := tt.call(c); (err == nil) != tt.good || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
