package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// openDevice sends the OPEN action to a device. The command's ID makes it safe to repeat: the same
// ID returns the saved result.
func openDevice(ctx context.Context, c *sdk.Client, pairing *sdk.PairingSession, serviceID, deviceID, commandID string) (bool, error) {
	order, err := c.OneM2M.CreateOrder(ctx, pairing.PairingToken, sdk.OneM2MOrder{
		MachineID: pairing.MachineID, AgentPairingID: pairing.ID, ServiceID: serviceID,
		Input: sdk.OneM2MExecuteAction{DeviceID: deviceID, Action: sdk.OneM2MOpen, CommandID: commandID},
	})
	if err != nil {
		return false, err
	}
	executed, err := c.OneM2M.ExecuteOrder(ctx, order.ID, pairing.PairingToken)
	if err != nil {
		return false, err
	}
	if outcome := executed.Execution.Outcome; outcome.ErrorCode == sdk.CodeOneM2MSubmissionUnknown {
		return false, errors.New("the device may be open: check before trying again")
	}
	return executed.Execution.Applied(), nil // HTTP 200 does not mean success
}

// watch subscribes to a resource and passes its samples to stop until it returns true.
func watch(
	ctx context.Context, c *sdk.Client, pairing *sdk.PairingSession, serviceID, deviceID, resource string,
	stop func(*sdk.IoTData) bool,
) error {
	order, err := c.OneM2M.CreateOrder(ctx, pairing.PairingToken, sdk.OneM2MOrder{
		MachineID: pairing.MachineID, AgentPairingID: pairing.ID, ServiceID: serviceID,
		Input: sdk.OneM2MSubscribeEvents{DeviceID: deviceID, Resource: resource, TTLSeconds: sdk.Some(60)},
	})
	if err != nil {
		return err
	}
	if _, err := c.OneM2M.ExecuteOrder(ctx, order.ID, pairing.PairingToken); err != nil {
		return err
	}
	for event, err := range c.IoT.Events(ctx, pairing.MachineID, pairing.PairingToken, sdk.IoTEventOptions{}) {
		if err != nil {
			return err // reconnect with the last FrameID as LastEventID
		}
		switch event := event.(type) {
		case *sdk.IoTData:
			if stop(event) {
				return nil
			}
		case *sdk.IoTStreamError:
			return fmt.Errorf("the stream ended: %v", event.Fault)
		}
	}
	return nil
}

// Control a device and follow its events.
func ExampleOneM2MService() {
	ctx := context.Background()
	c, machine, owner, end := exampleMachine(ctx)
	defer end()
	pairing, err := owner.pair(ctx, c, machine.ID)
	if err != nil {
		log.Fatal(err)
	}

	const service = "svc_onem2m_doors"
	for _, device := range []string{"iotdev_front_door", "iotdev_vault_door"} {
		opened, err := openDevice(ctx, c, pairing, service, device, "cmd-1-"+device)
		fmt.Println(device, "is open:", opened, err)
	}
	err = watch(ctx, c, pairing, "svc_onem2m_resources", "iotdev_lobby_air", "temperature", func(data *sdk.IoTData) bool {
		fmt.Println(data.Kind, "of the", data.Resource, "in", data.Sample.Units.Whole)
		return true
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// iotdev_front_door is open: true <nil>
	// iotdev_vault_door is open: false <nil>
	// snapshot of the temperature in celsius
}
