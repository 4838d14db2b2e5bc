package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// store searches for storage, orders the best quote, pays for it and executes it.
func store(ctx context.Context, c *sdk.Client, pairing *sdk.PairingSession, input json.RawMessage) (*sdk.ExecutedOrder, error) {
	token := pairing.PairingToken
	found, err := c.MarketSearches.Search(ctx, token, sdk.SearchMarket{
		MachineID: sdk.Some(pairing.MachineID), AgentPairingID: sdk.Some(pairing.ID),
		ServiceType: sdk.Some("storage"), Operation: sdk.Some("store-blob"),
	})
	if err != nil {
		return nil, err
	}
	if len(found.Quotes) == 0 {
		return nil, errors.New("nobody offers that")
	}
	quote := found.Quotes[0]
	order, err := c.MarketOrders.Create(ctx, token, sdk.CreateMarketOrder{
		MachineID: pairing.MachineID, AgentPairingID: pairing.ID, ServiceID: quote.ServiceID,
		SearchID: sdk.Some(found.ID), QuoteID: sdk.Some(quote.ID), Operation: sdk.Some("store-blob"), Input: input,
	})
	if err != nil {
		return nil, err
	}
	if order.Payment.Required {
		if err := pay(ctx, c, order, quote.Pricing, token); err != nil {
			return nil, err
		}
	}
	return c.MarketOrders.Execute(ctx, order.ID, token, sdk.ExecuteMarketOrder{})
}

// pay starts the payment and submits the proof of a transfer from a wallet.
func pay(ctx context.Context, c *sdk.Client, order *sdk.MarketOrder, price sdk.Pricing, token sdk.Secret) error {
	if _, err := c.MarketPayments.CreateIntent(ctx, order.ID, token, sdk.CreatePaymentIntent{}); err != nil {
		return err
	}
	_, err := c.MarketPayments.SubmitProof(ctx, order.ID, token, sdk.PaymentProof{
		VerificationMode: sdk.VerifyRecorded, // with VerifyRPC the server checks the chain
		Chain:            order.Payment.Chain, Token: order.Payment.Token, Amount: price.Amount.Value().String(),
		PayerAddress: "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A", PayeeAddress: order.Payment.PayeeAddress,
		TokenAddress:    sdk.Some(order.Payment.TokenAddress),
		TransactionHash: sdk.Some("0x8f5d0b1c4a2e6f7890abcdef1234567890abcdef1234567890abcdef12345678"),
	})
	return err
}

// Search the market, order a quote, pay, execute, and confirm the delivery.
func Example_order() {
	ctx := context.Background()
	c, machine, owner, end := exampleMachine(ctx)
	defer end()
	pairing, err := owner.pair(ctx, c, machine.ID)
	if err != nil {
		log.Fatal(err)
	}

	executed, err := store(ctx, c, pairing, json.RawMessage(`{"content":"battery 87 %"}`))
	if err != nil {
		log.Fatal(err)
	}
	payment, err := c.MarketPayments.Get(ctx, executed.Order.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("paid", payment.Amount, payment.Currency, "which are", payment.Status)
	switch execution := executed.Execution.(type) {
	case *sdk.NativeExecution: // a failed outcome also has HTTP status 200
		fmt.Println("ran:", execution.Outcome.Status)
	case *sdk.HandoffExecution:
		fmt.Println("continue at", execution.Handoff.URL)
	}
	confirmed, err := c.MarketOrders.Confirm(ctx, executed.Order.ID, pairing.PairingToken)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the order is", confirmed.Order.Status, "and the payment", confirmed.Payment.Status)
	// Output:
	// paid 0.25 USDC which are held
	// ran: completed
	// the order is confirmed and the payment release_pending
}
