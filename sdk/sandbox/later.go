package sandbox

import (
	"net/http"
	"time"
)

const pairingHeader = "X-Agent-Pairing-Token"

type extraState struct{}

func newExtraState() extraState { return extraState{} }

func outboundTransport() http.RoundTripper { return http.DefaultTransport }

func (s *Server) pairingOf(string, time.Time) (*storedPairing, error) {
	return nil, fail("AGENT_AUTH_REQUIRED", "a pairing token is required")
}
func (s *Server) PausePairings()                     {}
func (s *Server) lookAtOrders(time.Time) []orderView { return []orderView{} }
func (s *Server) orderCount() int                    { return 0 }
