package sandbox_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

const (
	readings   = "svc_onem2m_resources"
	smartDoors = "svc_onem2m_doors"
)

// read makes a direct read and hands its reply on.
func (r *harness) read(b paired, operation string, input any) reply {
	r.t.Helper()
	body := object{"machineId": b.machine, "agentPairingId": b.id, "operation": operation, "input": input}
	return r.as(b, "POST", "/market/services/"+readings+"/execute", body)
}

func (r *harness) ordered(b paired, service, operation string, input any) reply {
	r.t.Helper()
	body := object{"machineId": b.machine, "agentPairingId": b.id, "serviceId": service, "operation": operation, "input": input}
	return r.as(b, "POST", "/market/orders", body)
}

// run makes an order and executes it.
func (r *harness) run(b paired, service, operation string, input any) reply {
	r.t.Helper()
	id := r.ordered(b, service, operation, input).ok(201).str("item.id")
	a := r.as(b, "POST", "/market/orders/"+id+"/execute", object{}).ok(200)
	if a.str("order.id") != id || a.at("execution.statusCode") != 200.0 {
		r.t.Errorf("executed %s", a.text)
	}
	return a
}

func open(device, command string) object {
	return object{"deviceId": device, "action": "OPEN", "commandId": command}
}

func lease(device, resource string, seconds int) object {
	return object{"deviceId": device, "resource": resource, "ttlSeconds": seconds}
}

func TestOneM2MCatalogue(t *testing.T) {
	r := newHarness(t)
	b := r.pair(r.machine(), nil)
	for service, operations := range map[string][]any{
		readings: {"list-devices", "get-device-info", "get-latest-data", "subscribe-events"}, smartDoors: {"execute-action"},
	} {
		a := r.as(b, "GET", "/market/services/"+service, nil).ok(200)
		for name, want := range map[string]any{
			"providerKey": "onem2m", "serviceType": "device.control", "executionMode": "native", "integrationStatus": "native",
			"operations":       operations,
			"payment.required": false, "payment.defaultRail": "not-required", "payment.supportedRails": []any{"not-required"},
		} {
			same(t, service+" "+name, a.at("item."+name), want)
		}
		for i, operation := range operations {
			at := fmt.Sprintf("item.operationContracts.%d.", i)
			if a.at(at+"operation") != operation || len(a.at(at+"inputFields").([]any)) == 0 || len(a.at(at+"outputFields").([]any)) == 0 {
				t.Errorf("contract of %s: %v", operation, a.at(at+"operation"))
			}
			if example := a.at(at + "exampleInput"); operation == "list-devices" || operation == "get-device-info" ||
				operation == "get-latest-data" {
				r.read(b, operation.(string), example).ok(200)
			} else {
				r.ordered(b, service, operation.(string), example).ok(201)
			}
		}
		r.get("/market/services/" + service).fails("NOT_FOUND")
	}
}

func TestDirectReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		b := r.pair(r.machine(), nil)
		a := r.read(b, "list-devices", object{"limit": 7}).ok(200)
		if a.str("service.id") != readings || a.at("execution.statusCode") != 200.0 ||
			a.str("execution.run.status") != "completed" || a.str("execution.outcome.status") != "completed" {
			t.Errorf("read %s", a.text)
		}
		result := "execution.outcome.result."
		same(t, "first device", a.at(result+"items.0"), object{
			"id": "iotdev_lobby_occupancy", "name": "Lobby occupancy", "type": "occupancy-sensor", "location": "lobby",
			"profile":      "peaqos.onem2m.device.v1",
			"availability": "available", "actions": []any{},
			"resources": a.at(result + "items.0.resources"),
		})
		rest := r.read(b, "list-devices", object{"limit": 7, "cursor": a.str(result + "nextCursor")}).ok(200)
		if n, m := len(a.at(result+"items").([]any)), len(rest.at(result+"items").([]any)); n != 7 || m != 3 ||
			rest.at(result+"nextCursor") != nil {
			t.Errorf("pages of %d and %d devices", n, m)
		}
		a = r.read(b, "get-device-info", object{"deviceId": "iotdev_front_door"}).ok(200)
		same(t, "actions", a.at(result+"device.actions"), []any{object{"name": "OPEN"}})
		for _, c := range []struct {
			device, resource string
			units            any
		}{
			{"iotdev_lobby_air", "temperature", "celsius"},
			{"iotdev_lobby_air", "climate", object{"temperature": "celsius", "humidity": "percent"}},
			{"iotdev_lobby_occupancy", "occupancy", nil},
		} {
			a = r.read(b, "get-latest-data", object{"deviceId": c.device, "resource": c.resource}).ok(200)
			at := wire(time.Now().Truncate(10 * time.Second))
			want := object{
				"deviceId": c.device, "resource": c.resource, "value": a.at(result + "sample.value"), "observedAt": at,
				"receivedAt": at, "source": a.at(result + "sample.source"),
			}
			if c.units != nil {
				want["units"] = c.units
			}
			same(
				t, c.resource, a.at("execution.outcome.result"),
				object{"deviceId": c.device, "resource": c.resource, "availability": "present", "sample": want},
			)
			again := r.read(b, "get-latest-data", object{"deviceId": c.device, "resource": c.resource})
			if fmt.Sprint(again.at(result+"sample")) != fmt.Sprint(a.at(result+"sample")) {
				t.Errorf("the same sample reads differently: %s, %s", a.text, again.text)
			}
		}
		a = r.read(b, "get-latest-data", object{"deviceId": "iotdev_lobby_air", "resource": "calibration"}).ok(200)
		same(
			t, "empty", a.at("execution.outcome.result"),
			object{"deviceId": "iotdev_lobby_air", "resource": "calibration", "availability": "empty", "sample": nil},
		)
		for device, code := range map[string]string{
			"iotdev_roof_air": "ONEM2M_CSE_UNAVAILABLE", "iotdev_plant_air": "ONEM2M_PROTOCOL_ERROR", "iotdev_yard_air": "ONEM2M_TIMEOUT",
		} {
			a = r.read(b, "get-latest-data", object{"deviceId": device, "resource": "temperature"}).ok(200)
			if a.str("execution.outcome.status") != "failed" || a.str("execution.run.status") != "failed" ||
				a.str("execution.outcome.errorCode") != code || a.str("execution.outcome.errorMessage") == "" {
				t.Errorf("%s: %s", device, a.text)
			}
			a = r.run(b, readings, "subscribe-events", lease(device, "temperature", 60))
			if a.str("order.status") != "failed" || a.str("execution.outcome.errorCode") != code {
				t.Errorf("%s: %s", device, a.text)
			}
		}
	})
}

func TestOneM2MRefused(t *testing.T) {
	r := newHarness(t)
	b := r.pair(r.machine(), nil)
	for _, c := range []struct {
		operation string
		input     any
		code      string
	}{
		{"list-devices", object{"limit": 0}, "VALIDATION_ERROR"},
		{"list-devices", object{"limit": 501}, "VALIDATION_ERROR"},
		{"list-devices", object{"limit": 1.5}, "VALIDATION_ERROR"},
		{"list-devices", object{"cursor": "x"}, "VALIDATION_ERROR"},
		{"list-devices", object{"filter": "x"}, "VALIDATION_ERROR"},
		{"list-devices", `[]`, "VALIDATION_ERROR"},
		{"get-device-info", object{}, "VALIDATION_ERROR"},
		{"get-device-info", object{"deviceId": "iotdev_none"}, "NOT_FOUND"},
		{"get-latest-data", object{"deviceId": "iotdev_lobby_air"}, "VALIDATION_ERROR"},
		{"get-latest-data", object{"deviceId": "iotdev_lobby_air", "resource": "/cse/x"}, "VALIDATION_ERROR"},
		{"get-latest-data", object{"deviceId": "iotdev_lobby_air", "resource": "smell"}, "NOT_FOUND"},
		{"subscribe-events", lease("iotdev_lobby_air", "temperature", 60), "EXECUTION_UNSUPPORTED"},
		{"open-sesame", object{}, "VALIDATION_ERROR"},
	} {
		t.Run(c.operation, func(t *testing.T) { r.read(b, c.operation, c.input).fails(c.code) })
	}
	for _, c := range []struct {
		service, operation string
		input              object
		code               string
	}{
		{readings, "list-devices", object{}, "EXECUTION_UNSUPPORTED"},
		{readings, "subscribe-events", lease("iotdev_lobby_air", "temperature", 59), "VALIDATION_ERROR"},
		{readings, "subscribe-events", lease("iotdev_lobby_air", "temperature", 3601), "VALIDATION_ERROR"},
		{readings, "subscribe-events", lease("iotdev_none", "temperature", 60), "NOT_FOUND"},
		{smartDoors, "execute-action", with(open("iotdev_front_door", "c"), "action", "CLOSE"), "VALIDATION_ERROR"},
		{smartDoors, "execute-action", with(open("iotdev_front_door", "c"), "action", nil), "VALIDATION_ERROR"},
		{smartDoors, "execute-action", open("iotdev_front_door", "-c"), "VALIDATION_ERROR"},
		{smartDoors, "execute-action", with(open("iotdev_front_door", "c"), "force", true), "VALIDATION_ERROR"},
		{smartDoors, "execute-action", open("iotdev_lobby_air", "c"), "VALIDATION_ERROR"},
		{smartDoors, "execute-action", open("iotdev_none", "c"), "NOT_FOUND"},
	} {
		t.Run(c.operation, func(t *testing.T) { r.ordered(b, c.service, c.operation, c.input).fails(c.code) })
	}
}

func TestSmartDoorCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		b := r.pair(r.machine(), nil)
		state := func(device string) any {
			return r.read(b, "get-latest-data", object{"deviceId": device, "resource": "state"}).ok(200).at("execution.outcome.result.sample.value")
		}
		begun := time.Now()
		a := r.run(b, smartDoors, "execute-action", open("iotdev_front_door", "cmd-1"))
		now, later := wire(begun), wire(begun.Add(5*time.Second))
		source, seen := a.at("execution.outcome.result.acknowledgement.source"), a.at("execution.outcome.result.state.source")
		same(t, "applied", a.at("execution.outcome.result"), object{
			"deviceId": "iotdev_front_door", "commandId": "cmd-1", "action": "OPEN", "status": "applied", "submittedAt": now, "expiresAt": later,
			"acknowledgement": object{"commandId": "cmd-1", "status": "applied", "observedAt": now, "source": source},
			"state": object{
				"deviceId": "iotdev_front_door", "resource": "state", "value": "OPEN", "observedAt": now, "receivedAt": now,
				"source": seen, "commandId": "cmd-1",
			},
		})
		if a.str("order.status") != "delivered" || a.str("execution.outcome.status") != "completed" || state("iotdev_front_door") != "OPEN" {
			t.Errorf("opened: %s", a.text)
		}
		order := a.str("order.id")
		time.Sleep(time.Minute)
		if got := state("iotdev_front_door"); got != "CLOSED" {
			t.Errorf("after a minute the smart door is %v", got)
		}
		again := r.run(b, smartDoors, "execute-action", open("iotdev_front_door", "cmd-1"))
		same(t, "replayed", again.at("execution.outcome.result"), a.at("execution.outcome.result"))
		if got := state("iotdev_front_door"); got != "CLOSED" {
			t.Errorf("a replayed command moved the smart door: %v", got)
		}
		r.ordered(b, smartDoors, "execute-action", open("iotdev_back_door", "cmd-1")).fails("ONEM2M_COMMAND_CONFLICT")
		r.ordered(r.pair(r.machine(), nil), smartDoors, "execute-action", open("iotdev_back_door", "cmd-1")).ok(201)
		saved := r.as(b, "GET", "/market/orders/"+order, nil).ok(200)
		same(t, "saved", saved.at("execution.outcome"), a.at("execution.outcome"))

		for _, c := range []struct {
			device, code, status string
			submitted, acked     bool
			opens                bool
		}{
			{"iotdev_vault_door", "ONEM2M_ACTION_REJECTED", "rejected", true, true, false},
			{"iotdev_back_door", "ONEM2M_ACTION_TIMEOUT", "timed-out", true, false, false},
			{"iotdev_garage_door", "ONEM2M_ACTION_TIMEOUT", "unknown", true, false, true},
			{"iotdev_cellar_door", "ONEM2M_SUBMISSION_UNKNOWN", "unknown", false, false, false},
		} {
			began := time.Now()
			a := r.run(b, smartDoors, "execute-action", open(c.device, "cmd-"+c.device))
			result := a.at("execution.outcome.result").(object)
			if a.str("execution.outcome.errorCode") != c.code || a.str("execution.outcome.status") != "failed" || a.str("order.status") != "failed" {
				t.Errorf("%s: %s", c.device, a.text)
			}
			_, state1 := result["state"]
			if result["status"] != c.status || (result["submittedAt"] != nil) != c.submitted ||
				(result["acknowledgement"] != nil) != c.acked || result["state"] != nil || !state1 {
				t.Errorf("%s: %v", c.device, result)
			}
			if expires, err := time.Parse(time.RFC3339, result["expiresAt"].(string)); err != nil ||
				(c.status == "timed-out") != !expires.After(time.Now()) {
				t.Errorf("%s: %v expires %v, asked %v", c.device, c.status, expires, began)
			}
			if got := state(c.device); got != "CLOSED" {
				t.Errorf("%s is %v", c.device, got)
			}
			time.Sleep(2 * time.Second)
			if got := state(c.device); (got == "OPEN") != c.opens {
				t.Errorf("%s is %v after a while", c.device, got)
			}
		}
	})
}
