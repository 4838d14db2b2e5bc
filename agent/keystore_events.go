package agent

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// observeStore counts what the keystore does, and says aloud what a person
// should know: a copy that could not be used, a disk that takes no writes.
func (a *Agent) observeStore(e keystore.Event) {
	a.state.UpdateProcess(func(s *status.Process) { countStoreEvent(s, e) })
	switch e.Kind {
	case keystore.EventFallback:
		a.log.Warn("one copy of a stored record cannot be used; the other one is", code(status.CodeKeystoreFallback), zap.String("reason", e.Reason))
	case keystore.EventHealed:
		a.log.Info("the damaged copy was restored", code(status.CodeKeystoreHealed))
	case keystore.EventResealed:
		a.log.Info("the store was sealed anew", code(status.CodeKeystoreResealed), zap.String("protector", e.Reason))
	case keystore.EventWeaker:
		a.log.Error("the store is protected worse than keystore.seal asks for, and could not be sealed anew", code(status.CodeKeystoreWeaker), zap.String("wanted", e.Reason), zap.Error(e.Err))
	case keystore.EventRelearnt:
		a.log.Info("what the store knows of its host was brought up to date", code(status.CodeHostLearned), zap.String("fact", e.Reason))
	case keystore.EventTightened:
		a.log.Warn("files of the store that other users could reach were closed to them", code(status.CodeStoreTightened),
			zap.String("path", e.Path), zap.String("mode", fmt.Sprintf("%04o", e.Mode)), zap.Int("files", max(1, e.Files)), zap.Error(e.Err))
	case keystore.EventHostDiffers:
		a.log.Warn("the only known fact of the hardware differs: this may be a copy of another machine's disk", code(status.CodeHostDiffers), zap.String("fact", e.Reason))
	case keystore.EventNotDurable:
		a.log.Error("the store's disk takes no writes; the agent goes on from memory", code(status.CodeKeystoreNotDurable), zap.Error(e.Err))
	}
}

func countStoreEvent(s *status.Process, e keystore.Event) {
	switch e.Kind {
	case keystore.EventWrite:
		if e.Err != nil {
			s.KeystoreWrites["error"]++
			return
		}
		s.KeystoreWrites["success"]++
		s.KeystoreBytes += uint64(e.Bytes)
		s.KeystoreGeneration = max(s.KeystoreGeneration, e.Sequence)
		s.KeystoreDurable = true
	case keystore.EventFallback:
		s.KeystoreFallbacks[e.Reason]++
	case keystore.EventNotDurable:
		s.KeystoreDurable = false
	}
}
