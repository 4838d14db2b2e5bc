//go:build realclient

package realclient

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestRealClientBuysStreamsAndRunsDevices(t *testing.T) {
	server := sandbox.New(sandbox.WithAPIKey(lab.APIKey), sandbox.WithController("", lab.ControllerAddress))
	defer server.Close()
	web := httptest.NewServer(server)
	defer web.Close()

	var got map[string]any
	runScript(t, &got, "streams_client.py", "BASE_URL="+web.URL, "CONTROLLER_KEY="+lab.ControllerKey)
	if diff := cmp.Diff(normal(t, streamsWant()), got); diff != "" {
		t.Errorf("what the real client saw (-want +got):\n%s", diff)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

// streamsWant is what streams_client.py must see.
func streamsWant() map[string]any {
	bought := []any{"delivery_reserved", "STREAM_DELIVERY_NOT_READY", "2.5", "base", "verified", "releasable"}
	handed := []any{"access_ready", "ready", "peaqos-p2p://seller?ticket=1", true}
	went := []string{"delivery_released", "delivery_released", "delivery_released", "active", "completed"}
	heard := []string{"control.connected", "control.ack of hello"}
	for range 2 {
		heard = append(heard,
			"purchase.created", "purchase.payment_proof.recorded", "purchase.delivery.accessed", "purchase.seller.offline",
			"purchase.seller.ready", "purchase.buyer.connected", "purchase.delivery.started", "purchase.delivery.completed")
	}
	return map[string]any{
		"heard": append(heard, "closed"), "rails": []string{"x402", "transfer"}, "transports": []string{"peaqos-p2p"},
		"bought by transfer": bought, "handed over transfer": handed, "went transfer": went,
		"bought by x402": bought, "handed over x402": handed, "went x402": went,
		"devices": 10,
		"latest": map[string]string{
			"iotdev_lobby_occupancy occupancy": "present", "iotdev_lobby_air temperature": "present", "iotdev_lobby_air calibration": "empty",
			"iotdev_front_door state": "present", "iotdev_vault_door state": "present", "iotdev_back_door state": "present",
			"iotdev_garage_door state": "present", "iotdev_cellar_door state": "present",
			"iotdev_roof_air temperature": "ONEM2M_CSE_UNAVAILABLE", "iotdev_roof_air calibration": "ONEM2M_CSE_UNAVAILABLE",
			"iotdev_plant_air temperature": "ONEM2M_PROTOCOL_ERROR", "iotdev_plant_air calibration": "ONEM2M_PROTOCOL_ERROR",
			"iotdev_yard_air temperature": "ONEM2M_TIMEOUT",
		},
		"opened": map[string][]string{
			"iotdev_front_door":  {"completed", "", "applied"},
			"iotdev_vault_door":  {"failed", "ONEM2M_ACTION_REJECTED", "rejected"},
			"iotdev_back_door":   {"failed", "ONEM2M_ACTION_TIMEOUT", "timed-out"},
			"iotdev_garage_door": {"failed", "ONEM2M_ACTION_TIMEOUT", "unknown"},
			"iotdev_cellar_door": {"failed", "ONEM2M_SUBMISSION_UNKNOWN", "unknown"},
		},
		"replayed": true, "conflict": "ONEM2M_COMMAND_CONFLICT", "endpoint": true,
		"streamed": []string{"iot.subscription ", "iot.data snapshot", "iot.subscription ", "iot.data snapshot", "iot.data notification"},
		"live":     "OPEN by cmd:live", "resumed": true, "lost": "IOT_REPLAY_UNAVAILABLE",
		"deleted": []string{"deleted", "completed"}, "left": []string{"deleted", "active"}, "ended": []string{"AGENT_PAIRING_INACTIVE"},
	}
}

// normal is a value as it reads from JSON.
func normal(t *testing.T, v any) (out any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
