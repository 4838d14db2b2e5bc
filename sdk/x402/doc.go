// Package x402 reads and signs x402 payment challenges for market orders, offline.
//
// The flow: create an order, create its payment intent with the rail x402, [Parse]
// what the provider asks for, [Sign] it with the payer's key, submit the signature
// with [sdk.MarketPaymentsService.SubmitX402Proof], and execute the order with the
// same signature in [sdk.OrderPayment]. The client never talks to the provider.
//
//	payment, err := c.MarketPayments.CreateIntent(ctx, order.ID, token, intent)
//	signed, err := x402.SignPayment(payment, key)
//	_, err = c.MarketPayments.SubmitX402Proof(ctx, order.ID, token, signed.Proof())
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
//
// This package stands apart from sdk, so that a program which never pays holds no
// code that could.
package x402
