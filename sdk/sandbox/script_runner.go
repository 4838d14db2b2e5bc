package sandbox

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// scriptRunner runs a script. Nothing runs in the background: each request first executes the steps
// that have become due, so that it also works with fake time.
type scriptRunner struct {
	script Script
	begun  time.Time

	mu      sync.Mutex
	random  *rand.Rand
	period  int64
	matched []int // matching requests per rule, in this period
	applied []int
	done    int // number of steps executed in this period
}

// Play starts a script now and replaces the current one. The zero Script stops it; what its steps
// have changed stays.
func (s *Server) Play(script Script) error {
	if err := script.check(); err != nil {
		return err
	}
	if len(script.Rules) == 0 && len(script.Steps) == 0 {
		s.faults.runner.Store(nil)
		return nil
	}
	s.faults.runner.Store(newScriptRunner(script))
	return nil
}

// newScriptRunner starts a script that was checked.
func newScriptRunner(script Script) *scriptRunner {
	script.Rules = slices.Clone(script.Rules)
	script.Steps = slices.Clone(script.Steps)
	slices.SortStableFunc(script.Steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return &scriptRunner{
		script: script, begun: time.Now(), random: rand.New(rand.NewPCG(script.Seed, 1)),
		matched: make([]int, len(script.Rules)), applied: make([]int, len(script.Rules)),
	}
}

// Playing returns the current script; the zero Script when there is none.
func (s *Server) Playing() Script {
	if p := s.faults.runner.Load(); p != nil {
		return p.script
	}
	return Script{}
}

// at returns the time since the start of the current period. The caller holds the lock.
func (p *scriptRunner) at() time.Duration {
	at := time.Since(p.begun)
	if p.script.Repeat <= 0 {
		return at
	}
	if period := int64(at / p.script.Repeat); period != p.period {
		p.period, p.done = period, 0
		clear(p.matched)
		clear(p.applied)
	}
	return at % p.script.Repeat
}

// advance executes the steps that are due.
func (p *scriptRunner) advance(s *Server) {
	p.mu.Lock()
	var due []Step
	for at := p.at(); p.done < len(p.script.Steps) && p.script.Steps[p.done].At <= at; p.done++ {
		due = append(due, p.script.Steps[p.done])
	}
	p.mu.Unlock()
	for _, step := range due {
		s.do(step)
	}
}

// fault returns the fault of the first rule that applies to a request.
func (p *scriptRunner) fault(r *http.Request) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.at()
	for i := range p.script.Rules {
		rule := &p.script.Rules[i]
		if !rule.matches(r.Method, r.URL.Path, at) {
			continue
		}
		p.matched[i]++
		n := p.matched[i] - rule.Skip
		switch {
		case n <= 0, rule.Every > 0 && n%rule.Every != 0, rule.Limit > 0 && p.applied[i] >= rule.Limit:
			continue
		case rule.Chance > 0 && p.random.Float64() >= rule.Chance:
			continue
		}
		p.applied[i]++
		fault := rule.Fault
		return &fault
	}
	return nil
}

// do executes one step.
func (s *Server) do(step Step) {
	switch step.Do {
	case "revoke-agents":
		for _, a := range s.Agents("") {
			s.RevokeAgent(a.ID)
		}
	case "pause-pairings":
		s.PausePairings()
	case "restart":
		s.Restart(true)
	case "restart-empty":
		s.Restart(false)
	case "close-sockets":
		s.CloseSockets()
	case "flood-sockets":
		s.FloodSockets(10_000)
	case "lease-max":
		s.SetLeaseMax(step.Value)
	case "clock":
		s.SetClock(step.Value)
	case "registry-down", "registry-up":
		s.SetRegistry(step.Do == "registry-up")
	case "contest-endpoints", "settle-endpoints":
		s.contestAll(step.Do == "contest-endpoints")
	}
}
