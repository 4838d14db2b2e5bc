package measure

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Main is the main function of a program that runs one job.
func Main(run func(Job) (Result, error)) {
	if err := runJob(os.Args[1:], run); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runJob(args []string, run func(Job) (Result, error)) error {
	if len(args) != 1 {
		return errors.New("give one job, in JSON")
	}
	var j Job
	if err := json.Unmarshal([]byte(args[0]), &j); err != nil {
		return err
	}
	r, err := run(j)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
