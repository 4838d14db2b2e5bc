package status

// Code names one situation for programs. It appears as "code" in log lines,
// /readyz, /status and --json, and never changes its meaning. Codes in lower case
// are the agent's own; codes in upper case are the orchestrator's (contract §1.8)
// and are passed through, known to [Lookup] or not.
type Code string

// Why a machine is in its state: the codes of [Machine.Cause] and of the reasons
// in /readyz.
const (
	CodeStarting              Code = "starting"
	CodeNotEnrolled           Code = "not_enrolled"
	CodeEnrollmentInterrupted Code = "enrollment_interrupted"
	CodeOtherOrchestrator     Code = "record_of_another_origin"
	CodeFirstBeatPending      Code = "first_beat_pending"
	CodeNothingUp             Code = "nothing_up"
	CodeEndpointMissing       Code = "endpoint_missing"
	CodeEndpointToken         Code = "endpoint_token"
	CodeTelemetryPort         Code = "telemetry_port"
	CodeRotationPending       Code = "rotation_pending"
	CodeRotationUnfinished    Code = "rotation_unfinished"
	CodeRotationRefused       Code = "rotation_refused"

	CodeRetryAfter        Code = "retry_after"
	CodeServerError       Code = "server_error"
	CodeMalformedResponse Code = "malformed_response"
	CodeMiddlebox         Code = "middlebox"
	CodeProxy             Code = "proxy"
	CodeClock             Code = "clock"
	CodeTLS               Code = "tls"
	CodeTLSExpired        Code = "tls_expired"
	CodeTLSName           Code = "tls_name"
	CodeUnknownCA         Code = "unknown_ca"
	CodeNotTLS            Code = "not_tls"
	CodeDNS               Code = "dns"
	CodeTimeout           Code = "timeout"
	CodeConnectionRefused Code = "connection_refused"
	CodeNoRoute           Code = "no_route"
	CodeNetwork           Code = "network"

	CodeNoMachine          Code = "no_machine"
	CodeMachineNotReady    Code = "machine_not_ready"
	CodeAdminSocket        Code = "admin_socket"
	CodeKeystoreNotDurable Code = "keystore_not_durable"
	CodeConfigReload       Code = "config_reload"
	CodeOtherIdentity      Code = "another_identity"
	CodeNoEndpoint         Code = "no_endpoint"
	CodeEndpointNotProbed  Code = "endpoint_not_probed"
	CodeEndpointDown       Code = "endpoint_down"
	CodeEndpointRefused    Code = "endpoint_refused"
	CodeLeaseNone          Code = "lease_none"
	CodeLeaseExpired       Code = "lease_expired"
)

// Why the store cannot be used: causes of the states locked and quarantined, and
// problems of commands.
const (
	CodeForeignHost         Code = "foreign_host"
	CodeStoreSealed         Code = "store_sealed"
	CodeStoreDamaged        Code = "store_damaged"
	CodeStoreNewer          Code = "store_newer"
	CodeStoreUnusable       Code = "store_unusable"
	CodeStoreInUse          Code = "store_in_use"
	CodeStoreVolatile       Code = "store_volatile"
	CodeStoreUnreadable     Code = "store_unreadable"
	CodeSealChanged         Code = "seal_changed"
	CodeLostKeyNeeded       Code = "lost_key_needed"
	CodeStoreNotDurable     Code = "store_not_durable"
	CodeJournalOfOther      Code = "journal_of_another_origin"
	CodeControllerKeyExists Code = "controller_key_exists"
	CodeNoControllerKey     Code = "no_controller_key"
	CodeControllerKeyHere   Code = "controller_key_here"
)

// What the orchestrator returned: causes of offline, rejected and revoked, and
// problems of commands.
const (
	CodeAPIAuthRequired        Code = "AUTH_REQUIRED"
	CodeAPIAuthInvalid         Code = "AUTH_INVALID"
	CodeAPIAgentAuthRequired   Code = "AGENT_AUTH_REQUIRED"
	CodeAPIAgentAuthInvalid    Code = "AGENT_AUTH_INVALID"
	CodeAPIAgentAuthExpired    Code = "AGENT_AUTH_EXPIRED"
	CodeAPIAgentInactive       Code = "AGENT_PAIRING_INACTIVE"
	CodeAPIPolicyDenied        Code = "AGENT_POLICY_DENIED"
	CodeAPIValidation          Code = "VALIDATION_ERROR"
	CodeAPINotFound            Code = "NOT_FOUND"
	CodeAPIMachineNotActive    Code = "MACHINE_NOT_ACTIVE"
	CodeAPIMachineNotActivated Code = "MACHINE_NOT_ACTIVATED"
	CodeAPIIdentityExists      Code = "MACHINE_IDENTITY_EXISTS"
	CodeAPIIdentityImmutable   Code = "MACHINE_IDENTITY_IMMUTABLE"
	CodeAPIProofRequired       Code = "MACHINE_IDENTITY_PROOF_REQUIRED"
	CodeAPIProofInvalid        Code = "MACHINE_IDENTITY_PROOF_INVALID"
	CodeAPIProofExpired        Code = "MACHINE_IDENTITY_PROOF_EXPIRED"
	CodeAPIIdentityUnavailable Code = "PEAQOS_IDENTITY_UNAVAILABLE"
)

// What is wrong with presence, the control socket and its hooks: the codes of
// [Presence], [Control] and [Hook], and of reasons in /readyz.
const (
	CodePresencePending     Code = "presence_pending"
	CodePresenceNoKey       Code = "presence_no_key"
	CodePresenceNoMachine   Code = "presence_no_machine_id"
	CodePresenceKey         Code = "presence_key"
	CodePresenceUnreachable Code = "presence_unreachable"
	CodePresenceServer      Code = "presence_server_error"
	CodePresenceRetryAfter  Code = "presence_retry_after"
	CodePresenceMiddlebox   Code = "presence_middlebox"
	CodePresenceNotAccepted Code = "presence_not_accepted"
	CodePresenceRejected    Code = "presence_rejected"

	CodeControlPending     Code = "control_pending"
	CodeControlUnreachable Code = "control_unreachable"
	CodeControlClosed      Code = "control_closed"
	CodeControlRetryAfter  Code = "control_retry_after"
	CodeControlRejected    Code = "control_rejected"
	CodeControlMessage     Code = "control_message"
	CodeQueueFull          Code = "control_queue_full"
	CodeQueueNotDurable    Code = "control_queue_not_durable"
	CodeHookFailing        Code = "hook_failing"
)

// Why a presence command failed.
const (
	CodeDeployment    Code = "deployment"
	CodeMCR           Code = "mcr_unreachable"
	CodeMCRMismatch   Code = "mcr_mismatch"
	CodeMCRRejected   Code = "mcr_rejected"
	CodeOptInUnknown  Code = "opt_in_unknown"
	CodePresenceCheck Code = "presence_check"
)

// Why a command failed.
const (
	CodeFailed             Code = "failed"
	CodeInterrupted        Code = "interrupted"
	CodeUsage              Code = "usage"
	CodeValidation         Code = "validation"
	CodeConfig             Code = "config"
	CodeOrchestratorURL    Code = "orchestrator_url"
	CodeCAFile             Code = "ca_file"
	CodeReloadNeedsRestart Code = "reload_needs_restart"
	CodeNotPermitted       Code = "not_permitted"
	CodeNotRunning         Code = "not_running"
	CodeBadRequest         Code = "bad_request"
	CodeOtherAgent         Code = "another_orchestrator"

	CodeUnknownMachine    Code = "unknown_machine"
	CodeIdentityMissing   Code = "identity_missing"
	CodeIdentityRef       Code = "identity_ref"
	CodeMachineNotListed  Code = "machine_not_listed"
	CodeMachineNotActive  Code = "machine_not_active"
	CodeEnrolledAlready   Code = "enrolled_already"
	CodeEnrollmentLost    Code = "enrollment_lost"
	CodeTokenNotStored    Code = "token_not_stored"
	CodeNotLive           Code = "not_live"
	CodeNotConfirmed      Code = "not_confirmed"
	CodeAgentUnknown      Code = "agent_unknown"
	CodeGrant             Code = "grant"
	CodeGrantOfOther      Code = "grant_of_another_origin"
	CodeGrantNotDelivered Code = "grant_not_delivered"
	CodeOneMachine        Code = "one_machine"
	CodeProviderKeys      Code = "provider_keys"

	CodeAPIKeyMissing        Code = "api_key_missing"
	CodeAPIKeyFile           Code = "api_key_file"
	CodeControllerKeyMissing Code = "controller_key_missing"
	CodeControllerKeyFile    Code = "controller_key_file"
	CodePassphraseFile       Code = "passphrase_file"
	CodeWrongPassphrase      Code = "wrong_passphrase"
	CodeSecretFile           Code = "secret_file"
	CodeWeb3File             Code = "web3_file"
	CodeMemory               Code = "memory"
	CodeTerminal             Code = "terminal"
	CodeFileExists           Code = "file_exists"
	CodeFile                 Code = "file"

	CodeChallengeRefused Code = "challenge_refused"
	CodeChallengeFile    Code = "challenge_file"
	CodeSignature        Code = "signature"
	CodeSigner           Code = "signer"
	CodeNoSignature      Code = "no_signature"
	CodeNotInteractive   Code = "not_interactive"

	CodeNoSystemd      Code = "no_systemd"
	CodeNoSystemdCreds Code = "no_systemd_creds"
	CodePackagedUnit   Code = "packaged_unit"
	CodeService        Code = "service"
	CodeSystemd        Code = "systemd"
	CodeSealedAlready  Code = "sealed_already"
	CodeCredential     Code = "credential"

	CodeSandbox    Code = "sandbox"
	CodeListen     Code = "listen"
	CodeScenario   Code = "scenario"
	CodeController Code = "controller"
	CodeTLSDir     Code = "tls_dir"
)

// What the log reports besides causes and problems.
const (
	CodeStarted               Code = "started"
	CodeStopped               Code = "stopped"
	CodeStoreWait             Code = "store_wait"
	CodePanic                 Code = "panic"
	CodeConfigWarning         Code = "config_warning"
	CodeReloaded              Code = "reloaded"
	CodeReloadRefused         Code = "reload_refused"
	CodeTelemetryListening    Code = "telemetry_listening"
	CodeLogLimited            Code = "log_limited"
	CodeNetworkChanged        Code = "network_changed"
	CodeClockJump             Code = "clock_jump"
	CodeIntervalClamped       Code = "interval_clamped"
	CodeEndpointUp            Code = "endpoint_up"
	CodeEnrolled              Code = "enrolled"
	CodeUnenrolled            Code = "unenrolled"
	CodeAutoEnroll            Code = "auto_enroll"
	CodeOrphanRevoked         Code = "orphan_revoked"
	CodeRotated               Code = "rotated"
	CodeRotationProven        Code = "rotation_proven"
	CodeRotationNotStored     Code = "rotation_not_stored"
	CodePresenceOnline        Code = "presence_online"
	CodeOptInSigned           Code = "opt_in_signed"
	CodeControlConnected      Code = "control_connected"
	CodeHookRecovered         Code = "hook_recovered"
	CodeIdentityReset         Code = "identity_reset"
	CodeChallengeSigned       Code = "challenge_signed"
	CodeControllerKeyStored   Code = "controller_key_stored"
	CodeControllerKeyExported Code = "controller_key_exported"
	CodeHostAdopted           Code = "host_adopted"
	CodeHostLearned           Code = "host_learned"
	CodeHostNotBound          Code = "host_not_bound"
	CodeHostDiffers           Code = "host_differs"
	CodeStoreTightened        Code = "store_tightened"
	CodeStoreReadable         Code = "store_readable"
	CodeKeystoreFallback      Code = "keystore_fallback"
	CodeKeystoreHealed        Code = "keystore_healed"
	CodeKeystoreResealed      Code = "keystore_resealed"
	CodeKeystoreWeaker        Code = "keystore_weaker"
	CodeResealed              Code = "resealed"
)

// CodeOfState is the code of the log line that reports a change into a state.
func CodeOfState(s State) Code { return Code("state_" + string(s)) }
