package x402_test

import (
	"encoding/json"
	"fmt"
	"log"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/x402"
)

// Read what a provider requires, show it, and sign it. The same signature proves the
// payment and goes with the order's execution.
func ExampleSignPayment() {
	payment := &sdk.MarketPayment{Rail: sdk.MarketRail{Type: "x402", Metadata: json.RawMessage(`{
		"x402Version": 2,
		"accepts": [{"scheme": "exact", "network": "eip155:8453", "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
			"payTo": "0x8617E340B3D01FA5F11F306F4090FD50E238070D", "amount": "10000", "maxTimeoutSeconds": 300,
			"extra": {"name": "USD Coin", "version": "2"}}]}`)}}

	required, err := x402.ParsePayment(payment)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(required.Amount, "of", required.ExtraName, "to", required.PayTo, "on", required.Network)

	signed, err := x402.SignPayment(payment, sdk.NewSecret("0x1111111111111111111111111111111111111111111111111111111111111111"))
	if err != nil {
		log.Fatal(err)
	}
	proof := signed.Proof()                                                         // for MarketPayments.SubmitX402Proof
	execute := sdk.OrderPayment{PaymentSignature: sdk.Some(proof.PaymentSignature)} // for MarketOrders.Execute
	fmt.Println("paid by", signed.PayerAddress, "with", signed.PaymentSignature, execute.PaymentSignature.IsSet())
	// Output:
	// 10000 of USD Coin to 0x8617E340B3D01FA5F11F306F4090FD50E238070D on eip155:8453
	// paid by 0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A with [REDACTED] true
}
