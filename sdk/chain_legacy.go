package sdk

import (
	"cmp"
	"context"
	"math/big"
)

// LegacyContracts are the addresses with which clients of release 0.2.0 were configured;
// that release has no built-in addresses.
type LegacyContracts struct {
	IdentityRegistry string
	IdentityStaking  string
	EventRegistry    string
	MachineNFT       string
	DIDRegistry      string
	BatchPrecompile  string
}

// IsZero reports whether no address is set.
func (l LegacyContracts) IsZero() bool { return l == LegacyContracts{} }

// Selectors of the functions of release 0.2.0.
const (
	selMachineIDOfOwner    = "0x367fbe44" // machineIdOfOwner(address)
	selGetVerificationInfo = "0x9cc3fe74" // getVerificationInfo(uint256)
	selIsStaked            = "0xbaa51f86" // isStaked(uint256)
	selGetStake            = "0xce325bf8" // getStake(uint256)
)

// LegacyMachine is the state of a machine in the contracts of release 0.2.0.
type LegacyMachine struct {
	Number string
	Exists bool
	Owner  string
	Wallet string
	Status uint8 // 0 none, 1 pending, 2 verified, 3 rejected, 4 deactivated
	Staked bool
	Stake  *big.Int
}

// LegacyMachineOf returns the number of the machine that an address owns in the contracts
// of release 0.2.0, where a DID is did:peaq:0x<address>; "" if there is none.
//
// JSON-RPC eth_call (mcr contract §3.5)
func (c *Chain) LegacyMachineOf(ctx context.Context, l LegacyContracts, address string) (string, error) {
	if !isAddress(address) {
		return "", &ValidationError{"address", "an address: 0x and 40 hex digits"}
	}
	w, err := c.call(ctx, l.IdentityRegistry, selMachineIDOfOwner, 1, addressWord(address))
	if err != nil || w.at(0).Sign() == 0 {
		return "", ignoreRevert(err)
	}
	return w.at(0).String(), nil
}

// LegacyMachine reads the state of a machine from the contracts of release 0.2.0.
//
// JSON-RPC eth_call (mcr contract §3.5)
func (c *Chain) LegacyMachine(ctx context.Context, l LegacyContracts, machineNumber string) (*LegacyMachine, error) {
	if err := machineNumberArg(machineNumber); err != nil {
		return nil, err
	}
	out := &LegacyMachine{Number: machineNumber, Stake: new(big.Int)}
	id := uintWord(machineNumber)
	info, err := c.call(ctx, l.IdentityRegistry, selGetVerificationInfo, 4, id)
	if err := ignoreRevert(err); err != nil {
		return nil, err
	}
	if err != nil {
		return out, nil
	}
	if out.Exists, err = info.bool(2); err != nil {
		return nil, err
	}
	if !out.Exists {
		return out, nil
	}
	status, err1 := info.small(3, 8)
	owner, err2 := info.address(0)
	wallet, err3 := info.address(1)
	out.Owner, out.Wallet, out.Status = owner, wallet, uint8(status)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, err
	}
	if l.IdentityStaking == "" {
		return out, nil
	}
	staked, err := c.call(ctx, l.IdentityStaking, selIsStaked, 1, id)
	if err != nil {
		return nil, err
	}
	if out.Staked, err = staked.bool(0); err != nil {
		return nil, err
	}
	stake, err := c.call(ctx, l.IdentityStaking, selGetStake, 1, id)
	if err != nil {
		return nil, err
	}
	out.Stake = stake.at(0)
	return out, nil
}

// ignoreRevert treats a revert as "not found": these contracts either revert or return
// zero.
func ignoreRevert(err error) error {
	if fault, ok := err.(*RPCError); ok && fault.Revert != "" {
		return nil
	}
	return err
}
