package agent

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// observeStore counts what the keystore does and logs what a person should know, such
// as a damaged copy or a disk that is not writable.
func (a *Agent) observeStore(e keystore.Event) {
	a.state.UpdateProcess(func(s *status.Process) { countStoreEvent(s, e) })
	switch e.Kind {
	case keystore.EventFallback:
		logEvent(a.log.Warn, status.CodeKeystoreFallback, zap.String("reason", e.Reason))
	case keystore.EventHealed:
		logEvent(a.log.Info, status.CodeKeystoreHealed)
	case keystore.EventResealed:
		logEvent(a.log.Info, status.CodeKeystoreResealed, zap.String("protector", e.Reason))
	case keystore.EventWeaker:
		logEvent(a.log.Error, status.CodeKeystoreWeaker, zap.String("wanted", e.Reason), zap.Error(e.Err))
	case keystore.EventRelearnt:
		logEvent(a.log.Info, status.CodeHostLearned, zap.String("fact", e.Reason))
	case keystore.EventTightened:
		logEvent(a.log.Warn, status.CodeStoreTightened, zap.String("path", e.Path),
			zap.String("mode", fmt.Sprintf("%04o", e.Mode)), zap.Int("files", max(1, e.Files)), zap.Error(e.Err))
	case keystore.EventHostDiffers:
		logEvent(a.log.Warn, status.CodeHostDiffers, zap.String("fact", e.Reason))
	case keystore.EventNotDurable:
		a.log.Error("the store is not writable; continuing from memory", code(status.CodeKeystoreNotDurable), zap.Error(e.Err))
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
