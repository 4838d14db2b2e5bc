// Command sign runs the signing job of the Go side: EIP-191 texts, one after the
// other, with the keystore's signer. It is a program of its own, separate from
// command client, so that the memory of a client that signs nothing is measured
// without the curve.
package main

import (
	"strconv"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/check/bench/measure"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

func main() { measure.Main(run) }

func run(j measure.Job) (measure.Result, error) {
	key, err := keystore.ParseKey([]byte("0x" + strings.Repeat("4b", 32)))
	if err != nil {
		return measure.Result{}, err
	}
	signer, n := key.Signer(), 0
	return measure.Repeat(j.Calls, func() error {
		n++
		_, err := signer.SignText("machineId: 42\nsentAt: " + strconv.Itoa(n))
		return err
	})
}
