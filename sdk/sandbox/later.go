package sandbox

import (
	"errors"
	"net/http"
	"time"
)

const pairingHeader = "X-Agent-Pairing-Token"

var (
	errServerCloses = errors.New("the server closes the connection")
	errTooSlow      = errors.New("the reader is too slow")
)

type storedPairing struct{ ID, MachineID string }
type storedOrder struct{}

type marketState struct {
	Pairings table[storedPairing]
	Orders   table[storedOrder]
}
type streamState struct{}
type extraState struct{}

func newMarketState() marketState {
	return marketState{newTable[storedPairing](1, false), newTable[storedOrder](1, false)}
}
func newStreamState() streamState { return streamState{} }
func newExtraState() extraState   { return extraState{} }

type catalogue struct{}

func newCatalogue() (*catalogue, error) { return &catalogue{}, nil }

func outboundTransport() http.RoundTripper { return http.DefaultTransport }

func (s *Server) pairingOf(string, time.Time) (*storedPairing, error) {
	return nil, fail("AGENT_AUTH_REQUIRED", "a pairing token is required")
}
func (s *Server) PausePairings()                     {}
func (s *Server) lookAtOrders(time.Time) []orderView { return []orderView{} }
func (s *Server) orderCount() int                    { return 0 }
