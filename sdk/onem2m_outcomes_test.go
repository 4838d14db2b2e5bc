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
	doorState    = `{"deviceId":"dev","resource":"state","value":"OPEN","observedAt":"t","receivedAt":"t","commandId":"cmd","source":` + deviceSource + `}`
	doorAck      = `{"commandId":"cmd","status":"applied","observedAt":"t","source":` + deviceSource + `}`
	doorOpen     = `{"deviceId":"dev","commandId":"cmd","action":"OPEN","status":"applied","submittedAt":"t","expiresAt":"t","acknowledgement":` + doorAck + `,"state":` + doorState + `}`
	doorShut     = `{"deviceId":"dev","commandId":"cmd","action":"OPEN","status":"timed-out","submittedAt":null,"expiresAt":"t","acknowledgement":null,"state":null}`
)

// doorReply is the answer to an execute of a door's order.
func doorReply(outcome string) string {
	return `{"order":{"id":"o","machineId":"m","agentPairingId":"p","serviceId":"s","providerKey":"onem2m","executionMode":"native","integrationStatus":"native",
		"operation":"execute-action","status":"delivered","input":{"deviceId":"dev","action":"OPEN","commandId":"cmd"},"createdAt":"t","updatedAt":"t",
		"payment":{"required":false,"defaultRail":"not-required","supportedRails":["not-required"]}},
		"execution":{"statusCode":200,"task":{},"route":{},"run":{"id":"r","status":"completed"},"outcome":` + outcome + `}}`
}

// Only completed and applied means that a door opened; what an outcome says has to
// agree with itself and with the command (contract §2.18).
func TestOutcomesOfADoor(t *testing.T) {
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
		"opened":                         {completed(doorOpen), true, true},
		"completed without a result":     {`{"status":"completed"}`, false, false},
		"completed and null":             {completed(`null`), false, false},
		"completed and not applied":      {completed(doorShut), false, false},
		"for another command":            {completed(strings.ReplaceAll(doorOpen, "cmd", "other")), false, false},
		"for another device":             {completed(strings.ReplaceAll(doorOpen, "dev", "other")), false, false},
		"acknowledged another command":   {completed(change(doorOpen, doorAck, change(doorAck, "cmd", "other"))), false, false},
		"acknowledged as rejected":       {completed(change(doorOpen, doorAck, change(doorAck, "applied", "rejected"))), false, false},
		"without an acknowledgement":     {completed(change(doorOpen, doorAck, "null")), false, false},
		"the state of another command":   {completed(change(doorOpen, doorState, change(doorState, "cmd", "other"))), false, false},
		"the state of another resource":  {completed(change(doorOpen, doorState, change(doorState, "state", "door"))), false, false},
		"another state":                  {completed(change(doorOpen, doorState, change(doorState, "OPEN", "SHUT"))), false, false},
		"without a state":                {completed(change(doorOpen, doorState, "null")), false, false},
		"not submitted":                  {completed(change(doorOpen, `"submittedAt":"t"`, `"submittedAt":null`)), false, false},
		"failed without a code":          {failed(``), false, false},
		"failed with an empty code":      {failed(`,"errorCode":""`), false, false},
		"failed with a null code":        {failed(`,"errorCode":null`), false, false},
		"failed":                         {failed(code), true, false},
		"failed for an unknown reason":   {failed(`,"errorCode":"SOMETHING_NEW","errorMessage":"m"`), true, false},
		"failed with an empty message":   {failed(code + `,"errorMessage":""`), false, false},
		"failed and not applied":         {failed(code + `,"result":` + doorShut), true, false},
		"failed and applied":             {failed(code + `,"result":` + doorOpen), true, false},
		"failed with a null result":      {failed(code + `,"result":null`), false, false},
		"not applied for another":        {failed(code + `,"result":` + change(doorShut, "cmd", "other")), false, false},
		"not applied, another's word":    {failed(code + `,"result":` + change(doorShut, `"acknowledgement":null`, `"acknowledgement":`+change(doorAck, "cmd", "other"))), false, false},
		"not applied, without its state": {failed(code + `,"result":` + change(doorShut, `,"state":null`, ``)), false, false},
		"an unknown status":              {completed(change(doorOpen, `"status":"applied"`, `"status":"maybe"`)), false, false},
	} {
		c, _ := serve(t, answered{body: doorReply(tt.outcome)})
		got, err := c.OneM2M.ExecuteOrder(context.Background(), "o", NewSecret("t"))
		switch {
		case tt.good && (err != nil || got.Execution.Applied() != tt.applied):
			t.Errorf("%s: got %v, %v", name, got, err)
		case !tt.good && !errors.Is(err, ErrMalformed):
			t.Errorf("%s: got %v, want a malformed answer", name, err)
		}
	}
}

func TestUnitsOfAValue(t *testing.T) {
	for text, good := range map[string]bool{
		`"celsius"`: true, `{"t_C":"celsius"}`: true, `{}`: true, `""`: false, `null`: false, `7`: false, `[]`: false, `{"t":7}`: false, `{"t":null}`: false,
	} {
		var sample OneM2MSample
		raw := strings.Replace(doorState, `"value"`, `"units":`+text+`,"value"`, 1)
		if !json.Valid([]byte(raw)) {
			t.Fatal(raw)
		}
		if err := newCodec(true).Decode(raw, &sample); (err == nil) != good {
			t.Errorf("units %s: %v", text, err)
		}
	}
}

// A plain request is answered in the strict form when the reply is of oneM2M, and
// the reply alone tells.
func TestRepliesThatAreOfOneM2M(t *testing.T) {
	ctx, token := context.Background(), NewSecret("t")
	good := doorReply(`{"status":"failed","errorCode":"X"}`)
	order := good[len(`{"order":`):strings.Index(good, `,
		"execution"`)]
	item := `{"item":` + order + `}`
	other := strings.Replace(item, `"onem2m"`, `"walrus"`, 1)
	for name, tt := range map[string]struct {
		body string
		call func(c *Client) error
		good bool
	}{
		"get with a token":              {item, func(c *Client) error { return second(c.MarketOrders.Get(ctx, "o", Some(token))) }, true},
		"get of another order":          {item, func(c *Client) error { return second(c.MarketOrders.Get(ctx, "x", Some(token))) }, false},
		"get without a token":           {item, func(c *Client) error { return second(c.MarketOrders.Get(ctx, "o", Optional[Secret]{})) }, false},
		"get with a token, of another":  {other, func(c *Client) error { return second(c.MarketOrders.Get(ctx, "o", Some(token))) }, false},
		"typed get of another provider": {other, func(c *Client) error { return second(c.OneM2M.GetOrder(ctx, "o", token)) }, false},
		"a stored null execution": {
			strings.Replace(item, `{"item"`, `{"execution":null,"item"`, 1),
			func(c *Client) error { return second(c.OneM2M.GetOrder(ctx, "o", token)) }, false,
		},
		"execute of another order": {good, func(c *Client) error { return second(c.OneM2M.ExecuteOrder(ctx, "x", token)) }, false},
	} {
		c, _ := serve(t, answered{body: tt.body})
		if err := tt.call(c); (err == nil) != tt.good || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
