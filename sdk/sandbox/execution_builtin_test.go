package sandbox_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNativeServices: the same input has the same result, and an invalid input says what is wrong
// with it.
func TestNativeServices(t *testing.T) {
	p := market(t, nil)
	p.call("PATCH", "/skills/akash.compute/config", object{"credentials": object{"k": "v"}}).ok(200)
	p.call("PATCH", "/skills/geodnet.rtk/config", object{"credentials": object{"k": "v"}}).ok(200)
	for _, c := range []struct {
		service, operation string
		input              object
		want               object // nil: a failed outcome
		why                string
	}{
		{"svc_price_feed", "get-price", object{"symbol": "BTC/USD"}, object{"symbol": "BTC/USD", "price": 67350.47, "currency": "USD"}, ""},
		{"svc_price_feed", "get-price", object{"symbol": "BTC"}, nil, "symbol"},
		{"svc_price_feed", "get-price", object{}, nil, "symbol"},
		{"svc_price_feed", "get-price", object{"symbol": 7}, nil, "symbol"},
		{
			"svc_location", "resolve-location",
			object{"latitude": -25.382708, "longitude": -49.265506},
			object{"geohash": "6gkzwgj", "latitude": -25.382708, "longitude": -49.265506},
			"",
		},
		{"svc_location", "resolve-location", object{"latitude": 1}, nil, "longitude"},
		{"svc_location", "resolve-location", object{"latitude": "north", "longitude": 1}, nil, "latitude"},
		{
			"svc_geodnet_rtk", "get-correction",
			object{"latitude": 57.64911, "longitude": 10.40744},
			object{"station": "GEO-u4pr", "distanceKm": 6.4, "mountPoint": "RTCM32_u4pr"},
			"",
		},
		{"svc_akash_deploy", "deploy-workload", object{}, nil, "image"},
		{"svc_akash_deploy", "get-status", object{"deploymentId": "dep_1"}, object{"deploymentId": "dep_1", "status": "active"}, ""},
	} {
		t.Run(c.service+" "+c.operation, func(t *testing.T) {
			a := p.onOrder(p.made(c.service, "operation", c.operation, "input", c.input), "execute", object{}).ok(200)
			if c.want == nil {
				if a.str("execution.outcome.status") != "failed" || !strings.Contains(a.str("execution.outcome.errorMessage"), c.why) {
					t.Errorf("executed as %s", a.text)
				}
				return
			}
			if diff := cmp.Diff(any(c.want), a.at("execution.outcome.result")); diff != "" {
				t.Errorf("the result (-want +got):\n%s", diff)
			}
		})
	}
}

// TestExamplesRun: every example input of a service that the sandbox runs is valid.
func TestExamplesRun(t *testing.T) {
	p := market(t, nil)
	for _, key := range []string{"akash.compute", "geodnet.rtk"} {
		p.call("PATCH", "/skills/"+key+"/config", object{"credentials": object{"k": "v"}}).ok(200)
	}
	for _, v := range p.get("/market/services?executionMode=native&limit=500").ok(200).items() {
		s := v.(object)
		if s["providerKey"] == "qvac" || s["providerKey"] == "onem2m" {
			continue
		}
		for _, k := range s["operationContracts"].([]any) {
			contract := k.(object)
			id := p.made(s["id"].(string), "operation", contract["operation"], "input", contract["exampleInput"])
			pay := p.onOrder(id, "payment-intent", object{"rail": object{"type": "wallet"}}).ok(201)
			if pay.str("item.status") == "intent_created" {
				p.onOrder(id, "payment-proof", recorded("amount", fmt.Sprint(pay.at("item.amount")))).ok(200)
			}
			a := p.onOrder(id, "execute", object{}).ok(200)
			if a.str("execution.outcome.status") != "completed" {
				t.Errorf("%v %v: %s", s["id"], contract["operation"], a.text)
			}
		}
	}
}

func TestBlobsAreStored(t *testing.T) {
	p := market(t, nil)
	run := func(operation string, input object) reply {
		id := p.made("svc_walrus_blob", "operation", operation, "input", input)
		p.pays(id)
		return p.onOrder(id, "execute", object{}).ok(200)
	}
	blob := run("store-blob", object{"contentBase64": "AAEC"})
	back := run("read-blob", object{"blobId": blob.at("execution.outcome.result.blobId")})
	if back.at("execution.outcome.result.contentBase64") != "AAEC" {
		t.Errorf("read back is %s", back.text)
	}
	for _, bad := range []object{{}, {"contentBase64": "!"}, {"content": strings.Repeat("x", 17<<10)}} {
		if a := run("store-blob", bad); a.str("execution.outcome.status") != "failed" {
			t.Errorf("stored as %s", a.text)
		}
	}
}
