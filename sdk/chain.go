package sdk

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// Chain reads the contracts of a deployment over plain JSON-RPC: who owns and who
// controls a machine, and whether it is bonded and active (mcr contract §3). It sends no
// transaction and needs no key.
//
// Reads are retried: up to four times after a rate limit (waiting 0.5 s, doubling each
// time, or as long as the node asks, up to 30 s), and once after a failed connection or
// another temporary error (waiting 1 s). A revert by a contract is never retried.
type Chain struct {
	rpc        *url.URL
	transport  http.RoundTripper
	timeout    time.Duration
	userAgent  string
	deployment Deployment
	codec      *wire.Codec
}

const (
	rpcTimeout = 30 * time.Second
	rpcMaxBody = 1 << 20
)

// NewChain makes a reader of a deployment's contracts through the RPC endpoint at rpcURL,
// whose path and query may hold a key. Only WithHTTPClient and WithUserAgent have an
// effect. The timeout of one request is that of the HTTP client, or 30 s. Errors:
// *ConfigError.
func NewChain(rpcURL string, d Deployment, opts ...Option) (*Chain, error) {
	u, err := url.Parse(rpcURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, &ConfigError{"rpcUrl", "must be a URL with http or https and a host"}
	}
	carrier := &Client{transport: http.DefaultTransport, userAgent: "peaqos-agent-go/" + Version}
	if err := carrier.configure(opts); err != nil {
		return nil, err
	}
	c := &Chain{
		rpc: u, transport: carrier.transport, timeout: carrier.timeout, userAgent: carrier.userAgent, deployment: d,
		codec: newCodec(false),
	}
	if c.timeout == 0 {
		c.timeout = rpcTimeout
	}
	return c, nil
}

// String is the deployment and the host: the rest of an RPC URL may be a key.
func (c *Chain) String() string {
	return "sdk.Chain(" + c.deployment.ID + " at " + c.rpc.Scheme + "://" + c.rpc.Host + ")"
}

// GoString is String.
func (c *Chain) GoString() string { return c.String() }

// RPCError is an error response from a node. If Revert is set, a contract reverted the
// call; any other error says nothing about the machine.
type RPCError struct {
	Method     string
	StatusCode int
	Code       int
	Message    string
	Revert     string // 0x and hex: selector and words; empty if no contract reverted
	retryAfter time.Duration
	retrySet   bool
}

func (e *RPCError) Error() string {
	return fmt.Sprintf("%s: HTTP %d: RPC error %d: %s", e.Method, e.StatusCode, e.Code, wire.OneLine(e.Message))
}

// LogValue makes slog print Error.
func (e *RPCError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// Is implements errors.Is for ErrRetryable, ErrRateLimited, ErrAuth (401) and ErrForbidden
// (403).
func (e *RPCError) Is(target error) bool {
	limited := e.Revert == "" &&
		(e.StatusCode == http.StatusTooManyRequests || e.Code == -32029 || e.Code == -32005 || limitText(e.Message))
	switch target {
	case ErrAuth:
		return e.StatusCode == http.StatusUnauthorized
	case ErrForbidden:
		return e.StatusCode == http.StatusForbidden
	case ErrRateLimited:
		return limited
	case ErrRetryable:
		return limited || e.Revert == "" && (e.StatusCode >= 502 && e.StatusCode <= 504 || e.Code == -32603 || e.Code == -32000)
	}
	return false
}

func limitText(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "rate limit") || strings.Contains(message, "request limit") ||
		strings.Contains(message, "too many requests")
}

// rpcRetry returns how long to wait before the next attempt, and whether there is one: up
// to five attempts at a rate limit, each wait twice the previous, and two otherwise.
func rpcRetry(err error, attempt int, jitter float64) (time.Duration, bool) {
	var fault *RPCError
	var network *NetworkError
	switch {
	case errors.Is(err, context.Canceled):
	case errors.As(err, &fault) && fault.Is(ErrRateLimited):
		if fault.retrySet {
			return fault.retryAfter, attempt < 5 && fault.retryAfter <= 30*time.Second
		}
		return time.Duration(float64(500*time.Millisecond<<(attempt-1)) * (1 + jitter/2)), attempt < 5
	case errors.As(err, &fault) && fault.Is(ErrRetryable), errors.As(err, &network):
		return time.Second, attempt < 2
	}
	return 0, false
}

// ask makes one JSON-RPC call, with retries, and returns the result.
func (c *Chain) ask(ctx context.Context, method string, params ...any) (json.RawMessage, error) {
	for attempt := 1; ; attempt++ {
		result, err := c.once(ctx, method, params)
		wait, again := rpcRetry(err, attempt, rand.Float64())
		if err == nil || !again {
			return result, err
		}
		if err := waitToRetry(ctx, method, wait, err); err != nil {
			return nil, err
		}
	}
}

// waitToRetry waits before another attempt. If ctx ends first, the error is that of ctx:
// cause is only mentioned, so that what the caller canceled is not ErrRetryable.
func waitToRetry(ctx context.Context, operation string, wait time.Duration, cause error) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return &NetworkError{Operation: operation, Err: fmt.Errorf("%w while waiting to retry after: %v", ctx.Err(), cause)}
	case <-timer.C:
		return nil
	}
}

func (c *Chain) once(ctx context.Context, method string, params []any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method, "params": params, "id": 1})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.rpc.String(), bytes.NewReader(body))
	if err != nil {
		return nil, &ConfigError{"rpcUrl", "must be a URL with http or https and a host"}
	}
	if c.rpc.User != nil {
		password, _ := c.rpc.User.Password()
		req.SetBasicAuth(c.rpc.User.Username(), password)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	res, sent, err := tracedRoundTrip(c.transport, req)
	if err != nil {
		return nil, networkError(ctx, method, err, sent)
	}
	defer res.Body.Close()
	text, err := readText(res.Body, rpcMaxBody, res.ContentLength)
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, networkError(ctx, method, err, true)
	}
	return c.result(method, res, text)
}

// result reads a response: the result, or the error that the node reports.
func (c *Chain) result(method string, res *http.Response, text string) (json.RawMessage, error) {
	var message struct {
		Version string   `json:"jsonrpc"`
		ID      wire.Raw `json:"id"`
		Result  wire.Raw `json:"result"`
		Error   *struct {
			Code    int      `json:"code"`
			Message string   `json:"message"`
			Data    wire.Raw `json:"data"`
		} `json:"error"`
	}
	fault := &RPCError{Method: method, StatusCode: res.StatusCode, Message: "the response is not JSON-RPC"}
	fault.retryAfter, fault.retrySet = retryAfter(res.Header, dateOf(res.Header), time.Now())
	// A response to another request is ignored. An error may have no id: the node could not read ours.
	ours := false
	if err := c.codec.Decode(text, &message); err == nil {
		ours = message.Version == "2.0" && (message.ID == "1" || message.Error != nil && message.ID == "")
	}
	if !ours || (message.Error == nil && message.Result == "") {
		if said := c.nodeText(text); said != "" {
			fault.Message += ": " + said
		}
		return nil, fault
	}
	if message.Error != nil {
		fault.Code, fault.Message, fault.Revert = message.Error.Code, c.scrub(message.Error.Message), revertData(string(message.Error.Data))
		return nil, fault
	}
	if res.StatusCode != http.StatusOK {
		fault.Message = "a result with the status of an error"
		return nil, fault
	}
	return json.RawMessage(message.Result), nil
}

// nodeText is what a body that is not JSON-RPC says: a gateway's error, or its text. Markup
// says nothing.
func (c *Chain) nodeText(body string) string {
	said := bodyText(body)
	if said == "" && utf8.ValidString(body) && !strings.ContainsAny(body, "<{[") {
		said = strings.TrimSpace(body)
	}
	return wire.OneLine(wire.RedactText(c.scrub(said)))
}

// scrub removes any part of the endpoint's URL that may be a key from a node's message.
func (c *Chain) scrub(s string) string {
	parts := strings.Split(c.rpc.Path, "/")
	for _, values := range c.rpc.Query() {
		parts = append(parts, values...)
	}
	if password, ok := c.rpc.User.Password(); ok {
		parts = append(parts, password)
	}
	for _, part := range parts {
		if len(part) >= minScrubbed {
			s = strings.ReplaceAll(s, part, wire.Redacted)
		}
	}
	return s
}

// revertData returns the revert in an error's data: a hex string, or one nested in
// objects, as some nodes send it.
func revertData(raw string) string {
	var v any
	if json.Unmarshal([]byte(raw), &v) != nil {
		return ""
	}
	for range 4 {
		switch data := v.(type) {
		case string:
			if i := strings.Index(data, "0x"); i >= 0 && isHex(data[i:]) && len(data[i:]) >= 10 {
				return strings.ToLower(data[i:])
			}
			return ""
		case map[string]any:
			v = data["data"]
			if v == nil {
				v = data["result"]
			}
		default:
			return ""
		}
	}
	return ""
}

// ID returns the EVM chain ID of the endpoint.
//
// JSON-RPC eth_chainId (mcr contract §3.1)
func (c *Chain) ID(ctx context.Context) (uint64, error) {
	raw, err := c.ask(ctx, "eth_chainId")
	if err != nil {
		return 0, err
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if digits, ok := strings.CutPrefix(text, "0x"); ok {
			if id, err := strconv.ParseUint(digits, 16, 64); err == nil {
				return id, nil
			}
		}
	}
	return 0, &RPCError{Method: "eth_chainId", StatusCode: http.StatusOK, Message: "the result is not a hex number: 0x and hex digits"}
}

// Deployed reports whether there is code at an address.
//
// JSON-RPC eth_getCode (mcr contract §3.2)
func (c *Chain) Deployed(ctx context.Context, address string) (bool, error) {
	raw, err := c.ask(ctx, "eth_getCode", address, "latest")
	if err != nil {
		return false, err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil || !isHex(text) {
		return false, &RPCError{Method: "eth_getCode", StatusCode: http.StatusOK, Message: "the result is not a hex string"}
	}
	return len(text) > 2, nil
}

// words are the 32-byte words of a contract's result.
type words []byte

// call reads a contract: it sends selector and args and expects at least want words. An
// empty result means that there is no such contract or function.
func (c *Chain) call(ctx context.Context, contract, selector string, want int, args ...[]byte) (words, error) {
	data := selector
	for _, arg := range args {
		data += hex.EncodeToString(arg)
	}
	raw, err := c.ask(ctx, "eth_call", map[string]string{"to": checksumAddress(contract), "data": data}, "latest")
	if err != nil {
		return nil, err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, &RPCError{Method: "eth_call", StatusCode: http.StatusOK, Message: "the result is not a hex string"}
	}
	digits, prefixed := strings.CutPrefix(text, "0x")
	out, err := hex.DecodeString(digits)
	if !prefixed || err != nil {
		return nil, &RPCError{Method: "eth_call", StatusCode: http.StatusOK, Message: "the result is not a hex string"}
	}
	if len(out) < 32*want {
		return nil, &RPCError{
			Method: "eth_call", StatusCode: http.StatusOK,
			Message: fmt.Sprintf("the contract at %s has no function %s", checksumAddress(contract), selector),
		}
	}
	return out, nil
}

func (w words) at(i int) *big.Int { return new(big.Int).SetBytes(w[32*i : 32*i+32]) }

// small returns a word that must fit an integer of the given number of bits.
func (w words) small(i, bits int) (uint64, error) {
	n := w.at(i)
	if n.BitLen() > bits {
		return 0, &RPCError{Method: "eth_call", StatusCode: http.StatusOK, Message: "a number in the result is out of its range"}
	}
	return n.Uint64(), nil
}

func (w words) bool(i int) (bool, error) {
	n, err := w.small(i, 1)
	return n == 1, err
}

func (w words) address(i int) (string, error) {
	if w.at(i).BitLen() > 160 {
		return "", &RPCError{Method: "eth_call", StatusCode: http.StatusOK, Message: "the result is not an address"}
	}
	return checksumAddress("0x" + hex.EncodeToString(w[32*i+12:32*i+32])), nil
}

// uintWord encodes a decimal number below 2^256 as 32 bytes.
func uintWord(decimal string) []byte {
	n, _ := new(big.Int).SetString(decimal, 10)
	return n.FillBytes(make([]byte, 32))
}

func addressWord(address string) []byte {
	raw, err := hex.DecodeString(strings.TrimPrefix(address, "0x"))
	if err != nil || len(raw) != 20 {
		return make([]byte, 32)
	}
	return append(make([]byte, 12), raw...)
}
