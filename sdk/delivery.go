package sdk

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// DeliveryService lists the transports and payment rails for streams, and lets a machine
// declare what it can deliver (contract §2.7). This part of the API is in development at
// peaq.
type DeliveryService struct{ c *Client }

// DeliveryCapability is one transport that an agent supports.
type DeliveryCapability struct {
	Mode        string   `json:"mode"` // p2p when the server omits it
	TransportID string   `json:"transportId" wire:"req"`
	Version     string   `json:"version" wire:"req"`
	Features    []string `json:"features"`
	Signaling   string   `json:"signaling"` // peaqos-socket when the server omits it
	Protocols   []string `json:"protocols"`
	Encoding    string   `json:"encoding"`
}

func (d *DeliveryCapability) decodeWire(k *wire.Codec, raw string) error {
	type plain DeliveryCapability
	d.Mode, d.Signaling = "p2p", socketSignaling
	return k.Decode(raw, (*plain)(d))
}

const socketSignaling = "peaqos-socket"

// DeliveryCapabilityInput is a capability to declare. The server sets the mode and the
// signaling.
type DeliveryCapabilityInput struct {
	TransportID string             `json:"transportId"`
	Version     string             `json:"version"`
	Features    []string           `json:"features"`
	Protocols   Optional[[]string] `json:"protocols,omitzero"`
	Encoding    Optional[string]   `json:"encoding,omitzero"`
}

// PutDeliveryCapabilities is the request of [DeliveryService.PutCapabilities].
type PutDeliveryCapabilities struct {
	AgentID       string                    `json:"agentId"`
	Capabilities  []DeliveryCapabilityInput `json:"capabilities"`
	ResourceTypes Optional[[]string]        `json:"resourceTypes,omitzero"` // unset: stream.bundle
	ExpiresAt     Optional[string]          `json:"expiresAt,omitzero"`     // unset: a short time that the server chooses
}

func (p PutDeliveryCapabilities) check(identityRefs) error { return nonBlank("agentId", p.AgentID) }

// DeliveryCapabilities are the capabilities that an agent has declared.
type DeliveryCapabilities struct {
	Meta          `json:"-"`
	MachineID     string               `json:"machineId" wire:"req"`
	AgentID       string               `json:"agentId" wire:"req"`
	Capabilities  []DeliveryCapability `json:"capabilities"`
	ResourceTypes []string             `json:"resourceTypes"`
	Status        string               `json:"status" wire:"req"` // active, expired
	UpdatedAt     string               `json:"updatedAt" wire:"req"`
	ExpiresAt     string               `json:"expiresAt"`
}

// PutCapabilities declares the capabilities of an agent of the machine.
//
// PUT /machines/{machineId}/delivery-capabilities (contract §2.7)
func (s *DeliveryService) PutCapabilities(
	ctx context.Context, machineID string, in PutDeliveryCapabilities,
) (*DeliveryCapabilities, error) {
	return item[DeliveryCapabilities](ctx, s.c.call(http.MethodPut, "/machines/{machineId}/delivery-capabilities", machineID).json(in))
}

// DeliveryTransport is a transport that the orchestrator supports: a *P2PTransport,
// *StorageTransport, *TunnelTransport, or *UnknownEntry for a mode
// that this package does not know.
type DeliveryTransport interface{ deliveryTransport() }

// P2PTransport delivers from machine to buyer directly.
type P2PTransport struct {
	TransportID   string          `json:"transportId" wire:"req"`
	Version       string          `json:"version" wire:"req"`
	Features      []string        `json:"features"`
	Signaling     string          `json:"signaling"` // peaqos-socket when the server omits it
	Protocols     []string        `json:"protocols"`
	Encoding      string          `json:"encoding"`
	Handoff       string          `json:"handoff"` // prepare-access
	ConnectSchema json.RawMessage `json:"connectSchema"`
	ParamsSchema  json.RawMessage `json:"paramsSchema"`
}

// StorageTransport delivers through a storage provider.
type StorageTransport struct {
	Provider string   `json:"provider" wire:"req"`
	Features []string `json:"features"`
}

// TunnelTransport delivers through a tunnel provider.
type TunnelTransport struct {
	Provider string   `json:"provider" wire:"req"`
	Features []string `json:"features"`
}

// UnknownEntry is an entry of a kind that this package does not know, unchanged.
type UnknownEntry struct {
	Kind string // its mode or type
	Raw  json.RawMessage
}

func (*P2PTransport) deliveryTransport()     {}
func (*StorageTransport) deliveryTransport() {}
func (*TunnelTransport) deliveryTransport()  {}
func (*UnknownEntry) deliveryTransport()     {}

// Transports lists the supported transports. Query them rather than hard-code them.
//
// GET /delivery-transports (contract §2.7)
func (s *DeliveryService) Transports(ctx context.Context) ([]DeliveryTransport, error) {
	return catalogue(func(o ListOptions) (*Page[DeliveryTransport], error) {
		return listWith(ctx, s.c.call(http.MethodGet, "/delivery-transports").page(o), s.c.deliveryTransport)
	})
}

func (c *Client) deliveryTransport(raw string) (DeliveryTransport, error) {
	var kind struct {
		Mode string `json:"mode" wire:"req"`
	}
	if err := c.codec.Decode(raw, &kind); err != nil {
		return nil, err
	}
	switch kind.Mode {
	case "p2p":
		t := &P2PTransport{Signaling: socketSignaling}
		return t, c.codec.Decode(raw, t)
	case "storage":
		t := new(StorageTransport)
		return t, c.codec.Decode(raw, t)
	case "tunnel":
		t := new(TunnelTransport)
		return t, c.codec.Decode(raw, t)
	}
	return &UnknownEntry{kind.Mode, json.RawMessage(raw)}, nil
}

// PaymentRail is a way to pay for streams that the orchestrator supports: an
// *X402RailInfo, a *TransferRailInfo, or *UnknownEntry for anything else.
type PaymentRail interface{ paymentRail() }

// X402RailInfo is payment by x402, always with a proof.
type X402RailInfo struct {
	Chains []string `json:"chains"`
	Tokens []string `json:"tokens"`
}

// TransferRailInfo is payment by a plain transfer, final on its destination chain.
type TransferRailInfo struct {
	Chains []string `json:"chains"`
	Tokens []string `json:"tokens"`
}

func (*X402RailInfo) paymentRail()     {}
func (*TransferRailInfo) paymentRail() {}
func (*UnknownEntry) paymentRail()     {}

// PaymentRails lists the supported ways to pay. Query them rather than hard-code them.
//
// GET /payment-rails (contract §2.7)
func (s *DeliveryService) PaymentRails(ctx context.Context) ([]PaymentRail, error) {
	return catalogue(func(o ListOptions) (*Page[PaymentRail], error) {
		return listWith(ctx, s.c.call(http.MethodGet, "/payment-rails").page(o), s.c.paymentRail)
	})
}

func (c *Client) paymentRail(raw string) (PaymentRail, error) {
	var kind struct {
		Type string `json:"type" wire:"req"`
	}
	if err := c.codec.Decode(raw, &kind); err != nil {
		return nil, err
	}
	unknown := &UnknownEntry{kind.Type, json.RawMessage(raw)}
	switch kind.Type {
	case "x402":
		var rail struct {
			RequiresProof bool `json:"requiresProof" wire:"req"`
			X402RailInfo
		}
		if err := c.codec.Decode(raw, &rail); err != nil || rail.RequiresProof {
			return &rail.X402RailInfo, err
		}
	case "transfer":
		var rail struct {
			Verification string `json:"verification" wire:"req"`
			TransferRailInfo
		}
		if err := c.codec.Decode(raw, &rail); err != nil || rail.Verification == "destination-chain-finality" {
			return &rail.TransferRailInfo, err
		}
	}
	return unknown, nil
}
