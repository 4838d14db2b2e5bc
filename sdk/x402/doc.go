// Package x402 reads and signs x402 payment challenges for market orders, offline.
//
// # Where to start
//
// Create an order, create its payment intent with the rail x402, check what the
// provider requires, sign it with the payer's key, submit the signature, and execute the
// order with the same signature. The client never talks to the provider.
//
//	func pay(ctx context.Context, c *sdk.Client, orderID string, token, key sdk.Secret) (*sdk.ExecutedOrder, error) {
//		payment, err := c.MarketPayments.CreateIntent(ctx, orderID, token, sdk.CreatePaymentIntent{
//			Rail: sdk.Some(sdk.RailInput{Type: sdk.Some("x402")}),
//		})
//		if err != nil {
//			return nil, err
//		}
//		required, err := x402.ParsePayment(payment)
//		if err != nil {
//			return nil, err
//		}
//		if required.Amount != "10000" { // 0.01 USDC, as agreed
//			return nil, fmt.Errorf("the provider requires %s", required.Amount)
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
// # What a signature is
//
// The signed message is an EIP-712 TransferWithAuthorization (EIP-3009): it lets the
// provider draw one amount of one token, once, until a time. Anyone who has the
// signature can draw it, so [Signed.PaymentSignature] is a secret.
//
// # Guarantees
//
//   - Nothing is sent. The key is used for this one signature only, and not kept.
//   - What is signed is what [Parse] returns: show it to the payer before signing.
//   - Only a challenge in the form of x402 version 2 is signed, and only up to a [Limit]. The
//     default is 1 USDC on Base, valid for at most an hour: a provider that asks for more, in
//     another token or for longer gets nothing.
//   - [SignPayment] also compares the challenge with the payment record: its amount, payee,
//     token and chain.
//   - Only the scheme exact with the transfer method eip3009 on an EVM chain is signed;
//     anything else is rejected.
//   - Every rejection is an [sdk.ValidationError] that names the field and never repeats
//     the key.
//
// The package is separate from sdk so that a program that never pays contains no code
// that could.
package x402
