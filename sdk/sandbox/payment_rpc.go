package sandbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
)

// transferTopic is the hash of Transfer(address,address,uint256), the first topic of every ERC-20
// transfer.
const transferTopic = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"

// transfer is what must be in a transaction's logs.
type transfer struct {
	chain, hash, token, payer, payee string // token "" means any contract
	least                            *big.Int
}

// lookUp checks a claim on its chain: the transaction was mined, succeeded, and moved at least the
// amount due from payer to payee (contract §2.15). It releases the lock while it waits.
func (s *Server) lookUp(c *call, p *Payment, claim paymentClaim) error {
	t := transfer{
		chain: claim.chain, hash: claim.transaction, token: cmp.Or(p.Rail.TokenAddress, claim.tokenAddress),
		payer: claim.payer, payee: cmp.Or(p.Rail.payee(), claim.payee),
	}
	t.least = baseUnits(claim.amount, claim.decimals)
	if claim.rawAmount != "" {
		t.least = baseUnits(claim.rawAmount, 0)
	}
	if due := p.due(claim.decimals); due.Cmp(t.least) > 0 {
		t.least = due
	}
	_, err := s.findTransfer(c, t)
	return err
}

// due returns the payment's amount in the token's smallest unit.
func (p *Payment) due(decimals int) *big.Int {
	if p.Amount == nil {
		return new(big.Int)
	}
	return baseUnits(strconv.FormatFloat(*p.Amount, 'f', -1, 64), decimals)
}

// findTransfer looks up a transfer and returns its block.
func (s *Server) findTransfer(c *call, t transfer) (block uint64, err error) {
	if t.hash == "" {
		return 0, invalid("transactionHash is required for the mode rpc")
	}
	address := cmp.Or(s.rpc[t.chain], s.rpc[""])
	if address == "" {
		return 0, fail("PAYMENT_RPC_REQUIRED", "no RPC address is set for the chain "+t.chain+": set one, or send a recorded proof")
	}
	var r *receipt
	c.unlocked(func() { r, err = s.receipt(c, address, t.hash) })
	c.now = s.Now()
	switch {
	case err != nil:
		return 0, err
	case r == nil:
		return 0, fail("PAYMENT_NOT_MINED", "the transaction is not mined yet")
	case r.Status != "0x1":
		return 0, fail("PAYMENT_TX_FAILED", "the transaction failed on the chain")
	case !r.holds(t):
		return 0, fail("PAYMENT_TRANSFER_NOT_FOUND", "the transaction does not transfer at least the amount of the token from payer to payee")
	}
	block, _ = strconv.ParseUint(strings.TrimPrefix(r.BlockNumber, "0x"), 16, 64)
	return block, nil
}

// receipt is the result of eth_getTransactionReceipt.
type receipt struct {
	Status      string `json:"status"`
	BlockNumber string `json:"blockNumber"`
	Logs        []struct {
		Address string   `json:"address"`
		Topics  []string `json:"topics"`
		Data    string   `json:"data"`
	} `json:"logs"`
}

// receipt requests a transaction's receipt; nil while it is not mined.
func (s *Server) receipt(c *call, address, hash string) (*receipt, error) {
	bad := func(why string) error { return fail("PAYMENT_RPC_ERROR", "the chain's RPC address "+why) }
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionReceipt", "params": []string{hash}})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(c.r.Context(), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, bad("cannot be called")
	}
	r.Header.Set("Content-Type", "application/json")
	status, response, err := s.fetch(r)
	if err != nil {
		return nil, bad("did not respond: " + plainCause(err))
	}
	var out struct {
		Result *receipt `json:"result"`
		Error  *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	switch {
	case status != http.StatusOK:
		return nil, bad(fmt.Sprintf("returned HTTP %d", status))
	case json.Unmarshal(response, &out) != nil:
		return nil, bad("returned something other than JSON-RPC")
	case out.Error != nil:
		return nil, bad(fmt.Sprintf("returned the error %d", out.Error.Code))
	}
	return out.Result, nil
}

// holds reports whether the logs contain the transfer.
func (r *receipt) holds(t transfer) bool {
	for _, l := range r.Logs {
		if len(l.Topics) != 3 || !strings.EqualFold(l.Topics[0], transferTopic) || (t.token != "" && !strings.EqualFold(l.Address, t.token)) {
			continue
		}
		value, ok := new(big.Int).SetString(strings.TrimPrefix(l.Data, "0x"), 16)
		if ok && isTopicOf(l.Topics[1], t.payer) && isTopicOf(l.Topics[2], t.payee) && value.Cmp(t.least) >= 0 {
			return true
		}
	}
	return false
}

// isTopicOf reports whether a topic is an address, padded to 32 bytes.
func isTopicOf(topic, address string) bool {
	return isAddress(address) && strings.EqualFold(topic, "0x"+strings.Repeat("0", 24)+address[2:])
}
