// Package x402 reads and signs x402 payment challenges for market orders, offline.
//
// # Where to start
//
// Create an order, create its payment intent with the rail x402, look at what the
// provider asks for, sign it with the payer's key, submit the signature, and execute
// the order with the same signature. The client never talks to the provider.
//
//	func pay(ctx context.Context, c *sdk.Client, orderID string, token, key sdk.Secret) (*sdk.ExecutedOrder, error) {
//		payment, err := c.MarketPayments.CreateIntent(ctx, orderID, token, sdk.CreatePaymentIntent{
//			Rail: sdk.Some(sdk.RailInput{Type: sdk.Some("x402")}),
//		})
//		if err != nil {
//			return nil, err
//		}
//		asked, err := x402.ParsePayment(payment)
//		if err != nil {
//			return nil, err
//		}
//		if asked.Amount != "10000" { // 0.01 USDC: what we agreed to
//			return nil, fmt.Errorf("the provider asks for %s", asked.Amount)
//		}
//		signed, err := x402.SignPayment(payment, key)
//		if err != nil {
//			return nil, err
//		}
//		if _, err := c.MarketPayments.SubmitX402Proof(ctx, orderID, token, signed.Proof()); err != nil {
//			return nil, err
//		}
//		return c.MarketOrders.Execute(ctx, orderID, token, sdk.ExecuteMarketOrder{
//			Payment: sdk.Some(sdk.OrderPayment{PaymentSignature: sdk.Some(signed.PaymentSignature)}),
//		})
//	}
//
// # Ideas
//
// What is signed is an EIP-712 TransferWithAuthorization (EIP-3009): the payer lets
// the provider draw one amount of one token, once, until a time. Whoever holds the
// signature can draw it, so [Signed.PaymentSignature] is a secret.
//
// # Promises
//
//   - Nothing is sent, and the key is used for this one signature alone.
//   - What is signed is what [Parse] shows: show it before signing.
//   - Only the scheme exact with the transfer method eip3009 on an EVM chain is
//     signed; anything else is refused.
//   - Every error is an [sdk.ValidationError] that names what is wrong and repeats no
//     key.
//
// This package stands apart from sdk, so that a program which never pays holds no
// code that could.
package x402
