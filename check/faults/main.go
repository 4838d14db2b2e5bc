package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// rows are the classes of faults, in the order of the table.
func rows() []class {
	return []class{
		{"kill -9 before every call of enroll", killEach(ofEnroll())},
		{"kill -9 before every call of rotate", killEach(ofRotate())},
		{"kill -9 before every call of enroll --grant", killEach(ofGrant())},
		{"kill -9 before every call of unenroll", killEach(ofUnenroll())},
		{"kill -9 before every call of identity import", killEach(ofImport())},
		{"kill -9 before every call of a reseal", killEach(ofReseal())},
		{"kill -9 before every call of reset-identity", killEach(ofReset())},
		{"kill -9 before every call of adopt", killEach(ofAdopt())},
		{"ENOSPC and EIO at every call of enroll", failEach(ofEnroll())},
		{"ENOSPC and EIO at every call of rotate", failEach(ofRotate())},
		{"ENOSPC and EIO at every call of enroll --grant", failEach(ofGrant())},
		{"ENOSPC and EIO at every call of unenroll", failEach(ofUnenroll())},
		{"ENOSPC and EIO at every call of identity import", failEach(ofImport())},
		{"ENOSPC and EIO at every call of a reseal", failEach(ofReseal())},
		{"ENOSPC and EIO at every call of reset-identity", failEach(ofReset())},
		{"ENOSPC and EIO at every call of adopt", failEach(ofAdopt())},
		{"kill -9 of run, at random", killRun},
		{"kill -9 of run under a running lease", killUnderLease},
		{"power cut after each acknowledged step, ext4", powerSteps("ext4")},
		{"power cut after each acknowledged step, xfs", powerSteps("xfs")},
		{"power cut after each acknowledged step, btrfs", powerSteps("btrfs")},
		{"power cut at random, ext4", powerRandom("ext4", 20, 1000)},
		{"power cut at random, xfs", powerRandom("xfs", 5, 100)},
		{"power cut at random, btrfs", powerRandom("btrfs", 5, 100)},
		{"enrollment response cut after each byte", cutEnroll},
		{"rotation response cut after each byte", cutRotate},
		{"each byte of each slot flipped, each length cut, zeroed, removed", damageEnrolled},
		{"the same after a rotation", damageRotated},
		{"records swapped between two machines", swapRecords},
		{"no inode left, no space left", tightDisk},
		{"disk full, then read-only, under run", diskUnderRun},
		{"two processes race for one store", race(2)},
		{"two hundred processes race for one store", race(200)},
		{"upgrade and rollback of the store's format", formats},
		{"canary token and keys searched in everything that leaves the process", canaries},
		{"a thousand earlier agents", earlierAgents},
		{"responses repeated, overlong or cut", surplus},
		{"asleep for two years", asleep},
		{"a hostile orchestrator", hostileOrchestrator},
		{"a hostile runtime", hostileRuntime},
		{"a hostile local user", hostileUser},
		{"redirects 301, 302, 303, 307, 308", redirects},
		{"forged challenges", forgeries},
	}
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "other-user" {
		if err := beOther(os.Args[2:]); err != nil {
			fmt.Println(err)
		}
		return
	}
	agent := flag.String("agent", "bin/peaqos-agent", "the binary under test")
	whole := flag.Bool("whole", false, "all tries, about twenty minutes; without it a few minutes")
	only := flag.String("only", "", "run the rows whose name matches this regular expression")
	out := flag.String("out", "", "also write the table to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	pattern, err := regexp.Compile(*only)
	if err == nil {
		err = run(ctx, *agent, *whole, pattern, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// run runs the rows one after the other and prints their table.
func run(ctx context.Context, agent string, whole bool, only *regexp.Regexp, out string) error {
	h, err := newHarness(ctx, agent, whole)
	if err != nil {
		return err
	}
	defer h.close()
	started := time.Now()
	var done []*row
	passed, failed := 0, 0
	for _, c := range rows() {
		if !only.MatchString(c.name) || ctx.Err() != nil {
			continue
		}
		r := h.row(c)
		done = append(done, r)
		switch {
		case r.notRun != "":
			fmt.Printf("NOTE %s: not run here: %s\n", r.name, r.notRun)
		case r.good():
			passed++
			fmt.Printf("PASS %s: %d tried, %d landed, %d survived (%.0f s)\n", r.name, r.tried, r.landed, r.survived, r.took.Seconds())
		default:
			failed++
			fmt.Printf("FAIL %s: %d tried, %d landed, %d survived (%.0f s)\n     %s\n",
				r.name, r.tried, r.landed, r.survived, r.took.Seconds(), strings.Join(r.failures, "\n     "))
		}
	}
	text := table(done)
	fmt.Printf("\n%s\nThe table took %.0f s.\n", text, time.Since(started).Seconds())
	if out != "" {
		if err := os.WriteFile(out, []byte(text), 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		return fmt.Errorf("%d of %d rows failed", failed, len(done))
	}
	return ctx.Err()
}
