package sdk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// MachineNumberText is a machine's number in decimal digits. It is below 2^256, so it does
// not fit an integer type. It reads from a JSON string or a JSON number.
type MachineNumberText string

func (n *MachineNumberText) decodeWire(k *wire.Codec, raw string) error {
	text := raw
	if raw[0] == '"' {
		if err := k.Decode(raw, &text); err != nil {
			return err
		}
	}
	if !canonicalUint256(text) {
		return wire.MustBe("a decimal number below 2^256")
	}
	*n = MachineNumberText(text)
	return nil
}

// MCRRating is a machine's rating. The server may send values other than those listed
// here.
type MCRRating struct {
	DID                    string                `json:"did" wire:"req,nonempty"`
	MachineID              MachineNumberText     `json:"machine_id" wire:"req"`
	Score                  Optional[int]         `json:"mcr_score,omitzero" wire:"null"`
	Rating                 string                `json:"mcr" wire:"req"`         // AAA AA A BBB BB B NR Provisioned
	BondStatus             string                `json:"bond_status" wire:"req"` // bonded, unbonded
	NegativeFlag           bool                  `json:"negative_flag" wire:"req"`
	EventCount             int                   `json:"event_count" wire:"req"`
	RevenueEventCount      int                   `json:"revenue_event_count" wire:"req"`
	ActivityEventCount     int                   `json:"activity_event_count" wire:"req"`
	RevenueTrend           string                `json:"revenue_trend" wire:"null"` // up, stable, down, insufficient; empty for null
	TotalRevenue           json.Number           `json:"total_revenue" wire:"req"`  // USD cents
	AverageRevenuePerEvent Optional[json.Number] `json:"average_revenue_per_event,omitzero" wire:"null"`
	LastUpdated            Optional[int]         `json:"last_updated,omitzero" wire:"null"` // probably Unix seconds; not documented
	Degraded               bool                  `json:"mcr_degraded" wire:"req"`           // a stale exchange rate was used
	HomeChain              Optional[int]         `json:"home_chain,omitzero"`               // protocol chain ID
	RatingUnavailable      string                `json:"rating_unavailable"`                // why there is no rating
}

// Bonded reports whether the MCR lists the machine as bonded.
func (r *MCRRating) Bonded() bool { return r.BondStatus == "bonded" }

// Rating returns a machine's rating, by the decimal number of its DID. MCRNotFound means
// that this MCR has no record; MCRHomedElsewhere means that the machine is on another
// chain; any other error says nothing about the machine.
//
// GET /mcr/did:peaq:{machineNumber} (mcr contract §2.3)
func (m *MCR) Rating(ctx context.Context, machineNumber string) (*MCRRating, error) {
	if err := machineNumberArg(machineNumber); err != nil {
		return nil, err
	}
	out := new(MCRRating)
	const operation = "GET /mcr/{did}"
	if err := m.get(ctx, operation, "/mcr/"+didPrefix+machineNumber, out); err != nil {
		return nil, err
	}
	if err := sameMachine(operation, machineNumber, out.DID, out.MachineID); err != nil {
		return nil, err
	}
	return out, nil
}

// MCRProfile is a machine's public profile. For a machine on peaq it has neither owner nor
// controller: query the chain.
type MCRProfile struct {
	SchemaVersion string     `json:"schema_version" wire:"req,nonempty"`
	Name          string     `json:"name" wire:"req"`
	Machine       MCRMachine `json:"peaqos" wire:"req"`
}

// MCRMachine is the part of a profile about the machine itself.
type MCRMachine struct {
	MachineID         MachineNumberText `json:"machine_id" wire:"req"`
	DID               string            `json:"did" wire:"req,nonempty"`
	Operator          string            `json:"operator" wire:"null"`
	Rating            string            `json:"mcr" wire:"req"`
	Score             Optional[int]     `json:"mcr_score,omitzero" wire:"null"`
	BondStatus        string            `json:"bond_status" wire:"req"`
	NegativeFlag      bool              `json:"negative_flag" wire:"req"`
	EventCount        int               `json:"event_count" wire:"req"`
	DataVisibility    string            `json:"data_visibility" wire:"req,nonempty"` // public, private, onchain
	DocumentationURL  string            `json:"documentation_url" wire:"null"`
	DataAPI           json.RawMessage   `json:"data_api"`
	PartnerDataError  json.RawMessage   `json:"partner_data_error"`
	PartnerData       json.RawMessage   `json:"partner_data"`
	EventData         json.RawMessage   `json:"event_data"`
	Owner             string            `json:"owner"`      // base58 or 0x address; only of machines on other chains
	Controller        string            `json:"controller"` // likewise
	MachineType       string            `json:"machine_type"`
	RatingUnavailable string            `json:"rating_unavailable"`
	HomeChain         Optional[int]     `json:"home_chain,omitzero"`
	Relocating        Optional[bool]    `json:"relocating,omitzero"`
}

// Machine returns a machine's public profile.
//
// GET /machine/did:peaq:{machineNumber} (mcr contract §2.4)
func (m *MCR) Machine(ctx context.Context, machineNumber string) (*MCRProfile, error) {
	if err := machineNumberArg(machineNumber); err != nil {
		return nil, err
	}
	out := new(MCRProfile)
	const operation = "GET /machine/{did}"
	if err := m.get(ctx, operation, "/machine/"+didPrefix+machineNumber, out); err != nil {
		return nil, err
	}
	if err := sameMachine(operation, machineNumber, out.Machine.DID, out.Machine.MachineID); err != nil {
		return nil, err
	}
	return out, nil
}

// MCRFleet is the machines of an operator. If Total is larger than the number of Machines,
// a machine that is missing here may still belong to the operator.
type MCRFleet struct {
	OperatorDID string       `json:"operator_did" wire:"req"`
	Machines    []FleetEntry `json:"machines" wire:"req"`
	Pagination  struct {
		Offset int `json:"offset" wire:"req"`
		Limit  int `json:"limit" wire:"req"`
		Total  int `json:"total" wire:"req"`
	} `json:"pagination" wire:"req"`
}

// FleetEntry is one machine of a fleet.
type FleetEntry struct {
	DID          string            `json:"did" wire:"req"`
	MachineID    MachineNumberText `json:"machine_id" wire:"req"`
	Score        Optional[int]     `json:"mcr_score,omitzero"`
	Rating       string            `json:"mcr" wire:"req"`
	NegativeFlag bool              `json:"negative_flag" wire:"req"`
}

// Complete reports whether this page is the whole fleet.
func (f *MCRFleet) Complete() bool {
	return f.Pagination.Offset == 0 && len(f.Machines) >= f.Pagination.Total
}

// Fleet returns the machines of the operator with this address.
//
// GET /operator/did:peaq:{operatorAddress}/machines (mcr contract §2.5)
func (m *MCR) Fleet(ctx context.Context, operatorAddress string) (*MCRFleet, error) {
	if !isAddress(operatorAddress) {
		return nil, &ValidationError{"operatorAddress", "an address: 0x and 40 hex digits"}
	}
	out := new(MCRFleet)
	const operation = "GET /operator/{operatorDid}/machines"
	did := didPrefix + operatorAddress
	if err := m.get(ctx, operation, "/operator/"+did+"/machines", out); err != nil {
		return nil, err
	}
	if !strings.EqualFold(out.OperatorDID, did) {
		return nil, badResponse(operation, "the response is about another operator")
	}
	for _, machine := range out.Machines {
		if err := sameMachine(operation, string(machine.MachineID), machine.DID, machine.MachineID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// MCRCompat identifies the contracts that an MCR belongs to.
type MCRCompat struct {
	Version  string `json:"version" wire:"req"`
	ChainID  string `json:"chain_id" wire:"req"` // decimal
	Registry string `json:"registry" wire:"req"` // lower case
}

// Compat returns the contracts that the MCR belongs to. See [Deployment.Fits].
//
// GET /.well-known/peaq-monetization (presence contract §8)
func (m *MCR) Compat(ctx context.Context) (*MCRCompat, error) {
	out := new(MCRCompat)
	if err := m.get(ctx, "GET /.well-known/peaq-monetization", "/.well-known/peaq-monetization", out); err != nil {
		return nil, err
	}
	return out, nil
}

// Monetization says whether a machine has opted in to be counted by the presence service.
type Monetization struct {
	MachineID MachineNumberText `json:"machine_id" wire:"req"`
	Status    string            `json:"status" wire:"req"` // PENDING, OPTED_IN, OPTED_OUT
	Signer    string            `json:"signer"`
	UpdatedAt json.RawMessage   `json:"updated_at"` // its format is not documented
}

// Monetization returns whether a machine has opted in.
//
// GET /machine/did%3Apeaq%3A{machineNumber}/monetization (presence contract §8)
func (m *MCR) Monetization(ctx context.Context, machineNumber string) (*Monetization, error) {
	if err := machineNumberArg(machineNumber); err != nil {
		return nil, err
	}
	out := new(Monetization)
	const operation = "GET /machine/{did}/monetization"
	if err := m.get(ctx, operation, monetizationPath(machineNumber), out); err != nil {
		return nil, err
	}
	if err := sameMachine(operation, machineNumber, didPrefix+string(out.MachineID), out.MachineID); err != nil {
		return nil, err
	}
	return out, nil
}

func monetizationPath(machineNumber string) string {
	return "/machine/" + url.QueryEscape(didPrefix+machineNumber) + "/monetization"
}

func machineNumberArg(number string) error {
	if !canonicalUint256(number) {
		return &ValidationError{"machineNumber", "the decimal number of a machine DID"}
	}
	return nil
}

// sameMachine rejects a response about another machine.
func sameMachine(operation, want, did string, number MachineNumberText) error {
	got, err := MachineNumber(did)
	if err != nil || got != want || string(number) != want {
		return badResponse(operation, "the response is about another machine")
	}
	return nil
}

// badResponse is the error for a response of the right shape with wrong content.
func badResponse(operation, text string) error {
	return &MCRError{Operation: operation, Code: MCRBadResponse, StatusCode: http.StatusOK, ServerMessage: text}
}
