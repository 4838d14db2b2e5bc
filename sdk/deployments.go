package sdk

import (
	"maps"
	"slices"
	"strings"
)

// Deployment is one set of peaqOS contracts and the services that belong to it (mcr
// contract §1.6). The contracts are proxies; their code is upgraded, their addresses do
// not change.
type Deployment struct {
	ID              string
	ChainID         uint64 // EVM chain id
	MCRURL          string // empty when the deployment has no MCR
	Contracts       Contracts
	EventRegistry   string // empty when there is none
	EarliestBlock   uint64 // the first block that has an event
	CompatVersion   string // the version that its MCR returns for Compat
	ProtocolChainID uint16 // peaq's own numbering: 1 is peaq, 5 is Solana
}

// Contracts are the addresses of a deployment, by role.
type Contracts struct {
	InfoDesk                       string
	MachineRegistry                string
	MachineStateAndSync            string
	MachineSubscription            string
	CrossChainMirror               string
	MachineBridgeAdapter           string
	SubscriptionTokenProvisionPool string
}

// DefaultDeployment is used when none is configured.
const DefaultDeployment = "peaq-mainnet"

const compatVersion = "tokenomics-2.0-monetization-v1"

// LookupDeployment returns a deployment by its ID: peaq-mainnet, agung-2026-08-28 (the
// test network) or peaq-mainnet-michael (peaq's own test set). Errors: *ConfigError, which
// lists the valid IDs.
func LookupDeployment(id string) (Deployment, error) {
	all := deployments()
	d, ok := all[id]
	if !ok {
		return Deployment{}, &ConfigError{"PEAQOS_DEPLOYMENT_ID", "must be one of " + strings.Join(slices.Sorted(maps.Keys(all)), ", ")}
	}
	return d, nil
}

func deployments() map[string]Deployment {
	return map[string]Deployment{
		"peaq-mainnet": {
			ID: "peaq-mainnet", ChainID: 3338, MCRURL: "https://mcr.peaq.xyz", CompatVersion: compatVersion, ProtocolChainID: 1,
			Contracts: Contracts{
				InfoDesk:                       "0x6C7426ada37212D94477Ac4CFcA43A38177D6A82",
				MachineRegistry:                "0x64b93Cc29b251fAFa83BD110cDB1C24207f85536",
				MachineStateAndSync:            "0xcD1917FB2a56459AcA34FDD118e08776dE0890f2",
				MachineSubscription:            "0x9e37AD189c334C92e6B8a812Ca4c02f35Ac43895",
				CrossChainMirror:               "0x71DCB313977d6884212395505f081a2991Bfe8E5",
				MachineBridgeAdapter:           "0x791087c35484b567c53f392a624d2e4BaDcC53DF",
				SubscriptionTokenProvisionPool: "0x7088Cf400081428a41a4287B75AC633071c0e92A",
			},
			EventRegistry: "0xA1e7F1d7B24dAb55Dc92491e6d9B89F6E925Ad1e", EarliestBlock: 11446416,
		},
		"peaq-mainnet-michael": {
			ID: "peaq-mainnet-michael", ChainID: 3338, MCRURL: "https://mcr-staging.peaq.xyz",
			CompatVersion: compatVersion, ProtocolChainID: 1,
			Contracts: Contracts{
				InfoDesk:                       "0x6cffAc071bb5A1B1eb8aE1c023A2A20654F243bb",
				MachineRegistry:                "0x08c2C3d5477015e6F442638a4573259717D1deE0",
				MachineStateAndSync:            "0xEAf21e7CE0B588691316e27fAB1Ed82974bFA608",
				MachineSubscription:            "0x3Ec6d5A64b9916270Ea4Aaf932b8cd553E84D674",
				CrossChainMirror:               "0x544AB42682938FBE13B719498C58854469D99b41",
				MachineBridgeAdapter:           "0xf7e8Ff8D21B73aCeBaa3EAC38dB0A97746516dd5",
				SubscriptionTokenProvisionPool: "0x7bbb9816C4E819A610Bd95e93F6adb8c8e3d8617",
			},
			EarliestBlock: 11445386,
		},
		"agung-2026-08-28": {
			ID: "agung-2026-08-28", ChainID: 9990, ProtocolChainID: 1,
			Contracts: Contracts{
				InfoDesk:                       "0x72b66AF120c55371cA6e5Ce38D4e10dF1bA30Bb1",
				MachineRegistry:                "0x538da35489B1F0035799a8351E67835ae4ABb377",
				MachineStateAndSync:            "0xA7D33726232aae30622643a18047f0Ca3e159da9",
				MachineSubscription:            "0xaDCc5dD8CD57E3198B881c3388F25D2fD69B5aDc",
				CrossChainMirror:               "0xd5F8d5944c5d488B1cD698D642FC8156a8CD0c0c",
				MachineBridgeAdapter:           "0x0406e7bE522AEa626aee54f6258D415215e59F76",
				SubscriptionTokenProvisionPool: "0x8A3692Ad0AcF79BB89413514Af9957d95032e19B",
			},
			EarliestBlock: 10490372,
		},
	}
}
