package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fits reports whether an MCR belongs to this deployment.
func (d Deployment) Fits(c *MCRCompat) bool {
	return c.Version == d.CompatVersion && c.ChainID == strconv.FormatUint(d.ChainID, 10) &&
		c.Registry == strings.ToLower(d.Contracts.MachineRegistry)
}

// MonetizationMessage returns the message to sign to opt a machine in or out: six lines,
// without a newline at the end (presence contract §8). at is truncated to whole seconds.
func MonetizationMessage(d Deployment, machineNumber string, optedIn bool, at time.Time) string {
	return strings.Join([]string{
		"peaq-mcr monetization",
		"registry: " + strings.ToLower(d.Contracts.MachineRegistry),
		"chain_id: " + strconv.FormatUint(d.ChainID, 10),
		"machine_id: " + machineNumber,
		"opted_in: " + strconv.FormatBool(optedIn),
		"timestamp: " + strconv.FormatInt(at.Unix(), 10),
	}, "\n")
}

// SetMonetization opts a machine in or out. sign receives the MonetizationMessage and
// signs it with EIP-191 and the key of the machine's owner or controller; it returns 65
// bytes as 0x and hex. The request is not retried: after a timeout, check
// [MCR.Monetization] before trying again.
//
// Errors: what sign returns, *ValidationError, *NetworkError, and *MCRError with a
// ServerCode such as INVALID_SIGNATURE, TIMESTAMP_OUT_OF_WINDOW, UNAUTHORIZED_SIGNER,
// MACHINE_NOT_FOUND, MACHINE_NOT_BONDED, MACHINE_DEACTIVATED, STALE_SIGNATURE,
// MACHINE_UNAVAILABLE (503: sign and send again).
//
// PUT /machine/did%3Apeaq%3A{machineNumber}/monetization (presence contract §8)
func (m *MCR) SetMonetization(ctx context.Context, d Deployment, machineNumber string, optedIn bool,
	sign func(ctx context.Context, message []byte) (string, error),
) (*Monetization, error) {
	if err := machineNumberArg(machineNumber); err != nil {
		return nil, err
	}
	if sign == nil {
		return nil, &ValidationError{"sign", "a signer"}
	}
	now := time.Now()
	signature, err := sign(ctx, []byte(MonetizationMessage(d, machineNumber, optedIn, now)))
	if err != nil {
		return nil, fmt.Errorf("signing the opt-in: %w", err)
	}
	if len(signature) != 132 || !isHex(signature) {
		return nil, &ValidationError{"signature", "65 bytes: 0x and 130 hex digits"}
	}
	body, err := json.Marshal(map[string]any{"opted_in": optedIn, "timestamp": now.Unix(), "signature": signature})
	if err != nil {
		return nil, err
	}
	const operation = "PUT /machine/{did}/monetization"
	text, err := m.once(ctx, http.MethodPut, operation, monetizationPath(machineNumber), body)
	if err != nil {
		return nil, err
	}
	out := new(Monetization)
	if err := m.read(operation, text, out); err != nil {
		return nil, err
	}
	if string(out.MachineID) != machineNumber {
		return nil, badResponse(operation, "the response is about another machine")
	}
	return out, nil
}
