package agent

import (
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// TestAPICodes: package status spells the orchestrator's codes as the SDK does.
func TestAPICodes(t *testing.T) {
	for ours, theirs := range map[status.Code]string{
		status.CodeAPIAuthRequired:        sdk.CodeAuthRequired,
		status.CodeAPIAuthInvalid:         sdk.CodeAuthInvalid,
		status.CodeAPIAgentAuthRequired:   sdk.CodeAgentAuthRequired,
		status.CodeAPIAgentAuthInvalid:    sdk.CodeAgentAuthInvalid,
		status.CodeAPIAgentAuthExpired:    sdk.CodeAgentAuthExpired,
		status.CodeAPIAgentInactive:       sdk.CodeAgentPairingInactive,
		status.CodeAPIPolicyDenied:        sdk.CodeAgentPolicyDenied,
		status.CodeAPIValidation:          sdk.CodeValidationError,
		status.CodeAPINotFound:            sdk.CodeNotFound,
		status.CodeAPIMachineNotActive:    sdk.CodeMachineNotActive,
		status.CodeAPIMachineNotActivated: sdk.CodeMachineNotActivated,
		status.CodeAPIIdentityExists:      sdk.CodeMachineIdentityExists,
		status.CodeAPIIdentityImmutable:   sdk.CodeMachineIdentityImmutable,
		status.CodeAPIProofRequired:       sdk.CodeMachineIdentityProofRequired,
		status.CodeAPIProofInvalid:        sdk.CodeMachineIdentityProofInvalid,
		status.CodeAPIProofExpired:        sdk.CodeMachineIdentityProofExpired,
		status.CodeAPIIdentityUnavailable: sdk.CodePeaqOSIdentityUnavailable,
	} {
		if string(ours) != theirs {
			t.Errorf("status says %s, the SDK %s", ours, theirs)
		}
	}
}
