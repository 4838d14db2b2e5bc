package measure

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Main is the main function of a program that plays turns.
func Main(play func(Turn) (Result, error)) {
	if err := one(os.Args[1:], play); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func one(args []string, play func(Turn) (Result, error)) error {
	if len(args) != 1 {
		return errors.New("give one turn, in JSON")
	}
	var t Turn
	if err := json.Unmarshal([]byte(args[0]), &t); err != nil {
		return err
	}
	r, err := play(t)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
