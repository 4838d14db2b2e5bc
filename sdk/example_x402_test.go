package sdk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/x402"
)

// payX402 pays an order by signing its provider's requirements, if they are as agreed, and
// executes it.
func payX402(ctx context.Context, c *sdk.Client, orderID, agreed string, token, key sdk.Secret) (*sdk.ExecutedOrder, error) {
	payment, err := c.MarketPayments.CreateIntent(ctx, orderID, token, sdk.CreatePaymentIntent{
		Rail: sdk.Some(sdk.RailInput{Type: sdk.Some("x402")}),
	})
	if err != nil {
		return nil, err
	}
	required, err := x402.ParsePayment(payment)
	if err != nil {
		return nil, err
	}
	if required.Amount != agreed { // in the token's smallest unit
		return nil, fmt.Errorf("the provider requires %s, not %s", required.Amount, agreed)
	}
	signed, err := x402.SignPayment(payment, key)
	if err != nil {
		return nil, err
	}
	if _, err := c.MarketPayments.SubmitX402Proof(ctx, orderID, token, signed.Proof()); err != nil {
		return nil, err
	}
	return c.MarketOrders.Execute(ctx, orderID, token, sdk.ExecuteMarketOrder{
		Payment: sdk.Some(sdk.OrderPayment{PaymentSignature: sdk.Some(signed.PaymentSignature)}),
	})
}

// Pay an order with an x402 signature.
func Example_x402() {
	ctx := context.Background()
	c, machine, owner, end := exampleMachine(ctx)
	defer end()
	pairing, err := owner.pair(ctx, c, machine.ID)
	if err != nil {
		log.Fatal(err)
	}
	order, err := c.MarketOrders.Create(ctx, pairing.PairingToken, sdk.CreateMarketOrder{
		MachineID: machine.ID, AgentPairingID: pairing.ID, ServiceID: "svc_market_depth", Input: json.RawMessage(`{"symbol":"PEAQ/USDC"}`),
	})
	if err != nil {
		log.Fatal(err)
	}

	executed, err := payX402(ctx, c, order.ID, "10000", pairing.PairingToken, sdk.NewSecret("0x"+exampleKey))
	if err != nil {
		log.Fatal(err)
	}
	if run, ok := executed.Execution.(*sdk.NativeExecution); ok {
		fmt.Println(run.Outcome.Status, "and", executed.Order.Status)
	}
	// Output: completed and delivered
}
