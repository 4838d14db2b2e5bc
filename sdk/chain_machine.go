package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Selectors of the contract functions that are called.
const (
	selOwnerOf             = "0x6352211e" // ownerOf(uint256)
	selControllerOf        = "0x5dd8f6aa" // controllerOf(uint256)
	selSubscriptions       = "0x2d5bbf60" // subscriptions(uint256)
	selSubscriptionStatus  = "0x492f8724" // subscriptionStatus(uint256)
	selIsMachineAvailable  = "0x2ba484c5" // isMachineAvailable(uint256)
	selIsGeneralPaused     = "0x04fe5340" // isGeneralPaused(uint256)
	selIsTechnicalPaused   = "0x7e017030" // isTechnicalPaused(uint256)
	selIsOperatorPaused    = "0x230992eb" // isOperatorPaused(uint256)
	selIsRelocating        = "0xda205249" // isRelocating(uint256)
	selHomeChainOf         = "0x5bc23b9d" // homeChainOf(uint256)
	selLocalChainID        = "0x5b056da5" // localChainId()
	selPeer                = "0xa6d77118" // peer(bytes32)
	revertNonexistentToken = "0x7e273289" // ERC721NonexistentToken(uint256)
	revertNotActivated     = "0x037c597f" // NotActivated()
)

// Registration says whether a machine is registered on this chain.
type Registration string

// A machine is registered, absent, or registered on another chain.
const (
	Registered          Registration = "registered"
	NotRegistered       Registration = "not_registered"
	RegisteredElsewhere Registration = "registered_elsewhere"
)

// SubscriptionStatus is the state of a machine's subscription.
type SubscriptionStatus uint8

// The states of a subscription. In grace and runoff it has expired but can be renewed.
const (
	SubscriptionNotActivated SubscriptionStatus = 0
	SubscriptionActive       SubscriptionStatus = 1
	SubscriptionGrace        SubscriptionStatus = 2
	SubscriptionRunoff       SubscriptionStatus = 3
	SubscriptionTerminated   SubscriptionStatus = 4
)

// String is the name of the state.
func (s SubscriptionStatus) String() string {
	names := []string{"not activated", "active", "grace", "runoff", "terminated"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// MachineOnChain is the state of a machine in the contracts. Unless Registration is
// Registered, the other fields are empty.
type MachineOnChain struct {
	Number       string
	Registration Registration
	HomeChain    uint16 // protocol chain ID of a machine that is registered elsewhere
	Owner        string // checksummed address
	Controller   string // the zero address may mean "none" or "the owner"
	Status       SubscriptionStatus
	Tier         uint8 // 0 entry, 1 basic, 2 pro
	PeriodStart  time.Time
	PeriodEnd    time.Time // zero if the subscription never started; at most the end of the year 9999, which means "never"
	Bond         *big.Int  // in the token's smallest unit
	Points       *big.Int
	Available    bool
	Paused       []string // general, technical, operator
	Relocating   bool
}

// Bonded reports whether the machine has a bond on chain.
func (m *MachineOnChain) Bonded() bool { return m.Bond != nil && m.Bond.Sign() > 0 }

// HeldBy reports whether the address owns or controls the machine.
func (m *MachineOnChain) HeldBy(address string) bool {
	return address != "" && (strings.EqualFold(address, m.Owner) || strings.EqualFold(address, m.Controller))
}

// Machine reads the state of a machine by the decimal number of its DID. An error means
// that the state could not be read, never that the machine does not exist.
//
// JSON-RPC eth_call (mcr contract §3.4)
func (c *Chain) Machine(ctx context.Context, machineNumber string) (*MachineOnChain, error) {
	if err := machineNumberArg(machineNumber); err != nil {
		return nil, err
	}
	out := &MachineOnChain{Number: machineNumber}
	id, contracts := uintWord(machineNumber), c.deployment.Contracts
	owner, err := c.call(ctx, contracts.MachineRegistry, selOwnerOf, 1, id)
	var fault *RPCError
	if errors.As(err, &fault) && strings.HasPrefix(fault.Revert, revertNonexistentToken) {
		if err := c.readHome(ctx, id, out); err != nil {
			return nil, err
		}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out.Registration = Registered
	if out.Owner, err = owner.address(0); err != nil {
		return nil, err
	}
	controller, err := c.call(ctx, contracts.MachineRegistry, selControllerOf, 1, id)
	if err != nil {
		return nil, err
	}
	if out.Controller, err = controller.address(0); err != nil {
		return nil, err
	}
	if err := c.readSubscription(ctx, id, out); err != nil {
		return nil, err
	}
	if err := c.readState(ctx, id, out); err != nil {
		return nil, err
	}
	return out, nil
}

// readHome distinguishes a machine that does not exist from one on another chain.
func (c *Chain) readHome(ctx context.Context, id []byte, out *MachineOnChain) error {
	home, err := c.number(ctx, c.deployment.Contracts.CrossChainMirror, selHomeChainOf, 16, id)
	if err != nil {
		return err
	}
	local, err := c.number(ctx, c.deployment.Contracts.InfoDesk, selLocalChainID, 16)
	if err != nil {
		return err
	}
	out.Registration = NotRegistered
	if home != 0 && home != local {
		out.Registration, out.HomeChain = RegisteredElsewhere, uint16(home)
	}
	return nil
}

func (c *Chain) number(ctx context.Context, contract, selector string, bits int, args ...[]byte) (uint64, error) {
	w, err := c.call(ctx, contract, selector, 1, args...)
	if err != nil {
		return 0, err
	}
	return w.small(0, bits)
}

func (c *Chain) readSubscription(ctx context.Context, id []byte, out *MachineOnChain) error {
	contract := c.deployment.Contracts.MachineSubscription
	status, err := c.number(ctx, contract, selSubscriptionStatus, 8, id)
	var fault *RPCError
	if errors.As(err, &fault) && strings.HasPrefix(fault.Revert, revertNotActivated) {
		status, err = uint64(SubscriptionNotActivated), nil
	}
	if err != nil {
		return err
	}
	out.Status = SubscriptionStatus(status)
	w, err := c.call(ctx, contract, selSubscriptions, 5, id)
	if err != nil {
		return err
	}
	tier, err1 := w.small(0, 8)
	start, err2 := w.small(1, 64)
	end, err3 := w.small(2, 64)
	out.Tier, out.Bond, out.Points = uint8(tier), w.at(3), w.at(4)
	if start != 0 {
		out.PeriodStart, out.PeriodEnd = chainTime(start), chainTime(end)
	}
	return cmp.Or(err1, err2, err3)
}

// chainTime is a contract's time, in seconds. One after the year 9999, such as the highest
// number for "never", is the last second of that year: later times have no form in JSON.
func chainTime(seconds uint64) time.Time {
	const last = 253402300799 // 9999-12-31T23:59:59Z
	return time.Unix(int64(min(seconds, last)), 0).UTC()
}

func (c *Chain) readState(ctx context.Context, id []byte, out *MachineOnChain) error {
	contract := c.deployment.Contracts.MachineStateAndSync
	flags := []struct {
		selector string
		set      func()
	}{
		{selIsMachineAvailable, func() { out.Available = true }},
		{selIsGeneralPaused, func() { out.Paused = append(out.Paused, "general") }},
		{selIsTechnicalPaused, func() { out.Paused = append(out.Paused, "technical") }},
		{selIsOperatorPaused, func() { out.Paused = append(out.Paused, "operator") }},
		{selIsRelocating, func() { out.Relocating = true }},
	}
	for _, flag := range flags {
		w, err := c.call(ctx, contract, flag.selector, 1, id)
		if err != nil {
			return err
		}
		on, err := w.bool(0)
		if err != nil {
			return err
		}
		if on {
			flag.set()
		}
	}
	return nil
}

// Values of DeploymentFault.Code.
const (
	ChainMismatch       = "CHAIN_MISMATCH"
	ContractNotDeployed = "CONTRACT_NOT_DEPLOYED"
	PeerUnset           = "PEER_UNSET"
	PeerMismatch        = "PEER_MISMATCH"
)

// DeploymentFault is one mismatch between an RPC endpoint and the deployment.
type DeploymentFault struct {
	Code string
	What string // description
}

func (f DeploymentFault) Error() string { return f.Code + ": " + f.What }

// CheckDeployment compares the RPC endpoint with the deployment: the chain ID, code at the
// addresses, and the addresses that the contracts themselves return. An error means that
// the check could not be completed.
//
// JSON-RPC eth_call (mcr contract §3.4)
func (c *Chain) CheckDeployment(ctx context.Context) ([]DeploymentFault, error) {
	id, err := c.ID(ctx)
	if err != nil {
		return nil, err
	}
	if id != c.deployment.ChainID {
		return []DeploymentFault{{
			ChainMismatch,
			fmt.Sprintf("the endpoint serves chain %d, %s is on chain %d", id, c.deployment.ID, c.deployment.ChainID),
		}}, nil
	}
	k := c.deployment.Contracts
	var faults []DeploymentFault
	for _, role := range []struct{ name, address, peer string }{
		{"info_desk", k.InfoDesk, ""},
		{"machine_registry", k.MachineRegistry, "MACHINE_REGISTRY"},
		{"machine_subscription", k.MachineSubscription, "MACHINE_SUBSCRIPTION"},
		{"machine_state_and_sync", k.MachineStateAndSync, "MACHINE_STATE_AND_SYNC"},
		{"cross_chain_mirror", k.CrossChainMirror, "CROSS_CHAIN_MIRROR"},
	} {
		found, err := c.checkContract(ctx, role.name, role.address, role.peer)
		if err != nil {
			return faults, err
		}
		faults = append(faults, found...)
	}
	return faults, nil
}

func (c *Chain) checkContract(ctx context.Context, name, address, peer string) ([]DeploymentFault, error) {
	deployed, err := c.Deployed(ctx, address)
	if err != nil {
		return nil, err
	}
	if !deployed {
		return []DeploymentFault{{ContractNotDeployed, "no contract at " + address + ", expected " + name}}, nil
	}
	if peer == "" {
		return nil, nil
	}
	w, err := c.call(ctx, c.deployment.Contracts.InfoDesk, selPeer, 1, keccak256([]byte(peer)))
	if err != nil {
		return nil, err
	}
	named, err := w.address(0)
	switch {
	case err != nil:
		return nil, err
	case w.at(0).Sign() == 0:
		return []DeploymentFault{{PeerUnset, "info_desk has no address for " + name}}, nil
	case !strings.EqualFold(named, address):
		return []DeploymentFault{{PeerMismatch, "info_desk has " + named + " for " + name + ", expected " + address}}, nil
	}
	return nil, nil
}
