package eip191_test

import (
	"fmt"
	"log"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/eip191"
)

// Sign the message of a challenge, and find out who signed it.
func Example() {
	signer, err := eip191.NewSigner(sdk.NewSecret("0x1111111111111111111111111111111111111111111111111111111111111111"))
	if err != nil {
		log.Fatal(err)
	}
	signature, err := signer.Sign([]byte("the message of a challenge"))
	if err != nil {
		log.Fatal(err)
	}
	address, err := eip191.Recover([]byte("the message of a challenge"), signature)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(signature), "characters by", address, address == signer.Address())
	// Output: 132 characters by 0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A true
}
