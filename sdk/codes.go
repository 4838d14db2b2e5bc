package sdk

// Error codes of the API that any call can return (contract §1.8). Codes that are not
// listed here are passed on unchanged.
const (
	CodeAuthRequired                 = "AUTH_REQUIRED"
	CodeAuthInvalid                  = "AUTH_INVALID"
	CodeAgentAuthRequired            = "AGENT_AUTH_REQUIRED"
	CodeAgentAuthInvalid             = "AGENT_AUTH_INVALID"
	CodeAgentAuthExpired             = "AGENT_AUTH_EXPIRED"
	CodeValidationError              = "VALIDATION_ERROR"
	CodeNotFound                     = "NOT_FOUND"
	CodeMachineNotActive             = "MACHINE_NOT_ACTIVE"
	CodeMachineNotActivated          = "MACHINE_NOT_ACTIVATED"
	CodeMachineIdentityExists        = "MACHINE_IDENTITY_EXISTS"
	CodeMachineIdentityImmutable     = "MACHINE_IDENTITY_IMMUTABLE"
	CodeMachineIdentityProofRequired = "MACHINE_IDENTITY_PROOF_REQUIRED"
	CodeMachineIdentityProofInvalid  = "MACHINE_IDENTITY_PROOF_INVALID"
	CodeMachineIdentityProofExpired  = "MACHINE_IDENTITY_PROOF_EXPIRED"
	CodePeaqOSIdentityUnavailable    = "PEAQOS_IDENTITY_UNAVAILABLE"
	CodeAgentPairingProofRequired    = "AGENT_PAIRING_PROOF_REQUIRED"
	CodeAgentPairingProofInvalid     = "AGENT_PAIRING_PROOF_INVALID"
	CodeAgentPairingProofExpired     = "AGENT_PAIRING_PROOF_EXPIRED"
	CodeAgentPairingUnavailable      = "AGENT_PAIRING_UNAVAILABLE"
	CodeAgentPairingRequired         = "AGENT_PAIRING_REQUIRED"
	CodeAgentPairingInactive         = "AGENT_PAIRING_INACTIVE"
	CodeAgentPolicyDenied            = "AGENT_POLICY_DENIED"
	CodeAgentSpendLimitExceeded      = "AGENT_SPEND_LIMIT_EXCEEDED"
	CodeAgentDailyLimitExceeded      = "AGENT_DAILY_LIMIT_EXCEEDED"
	CodeQuoteExpired                 = "QUOTE_EXPIRED"
	CodeOrderClosed                  = "ORDER_CLOSED"
	CodeOrderNotDelivered            = "ORDER_NOT_DELIVERED"
	CodeExecutionUnsupported         = "EXECUTION_UNSUPPORTED"
	CodePaymentRequired              = "PAYMENT_REQUIRED"
	CodePaymentRPCRequired           = "PAYMENT_RPC_REQUIRED"
	CodePaymentRPCError              = "PAYMENT_RPC_ERROR"
	CodePaymentNotMined              = "PAYMENT_NOT_MINED"
	CodePaymentTxFailed              = "PAYMENT_TX_FAILED"
	CodePaymentTransferNotFound      = "PAYMENT_TRANSFER_NOT_FOUND"
)

// oneM2M codes (contract §1.8). The first is that of a rejected call, the next three are
// those of a failed outcome in an HTTP 200, the last three those of the device gateway.
// After ONEM2M_SUBMISSION_UNKNOWN the action may have run: check before submitting again.
const (
	CodeOneM2MCommandConflict   = "ONEM2M_COMMAND_CONFLICT"
	CodeOneM2MActionRejected    = "ONEM2M_ACTION_REJECTED"
	CodeOneM2MActionTimeout     = "ONEM2M_ACTION_TIMEOUT"
	CodeOneM2MSubmissionUnknown = "ONEM2M_SUBMISSION_UNKNOWN"
	CodeOneM2MCSEUnavailable    = "ONEM2M_CSE_UNAVAILABLE"
	CodeOneM2MProtocolError     = "ONEM2M_PROTOCOL_ERROR"
	CodeOneM2MTimeout           = "ONEM2M_TIMEOUT"
)

// Codes of the IoT stream (410: reconnect without a cursor) and of purchases (409: the
// seller has not prepared access yet).
const (
	CodeIoTReplayUnavailable   = "IOT_REPLAY_UNAVAILABLE"
	CodeStreamDeliveryNotReady = "STREAM_DELIVERY_NOT_READY"
)

// Codes that this client sets itself (contract §1.6): for a response that does not come from
// the API, and for a response of the API that does not have the documented shape.
const (
	CodeBadResponse          = "BAD_RESPONSE"
	CodeInvalidResponseShape = "INVALID_RESPONSE_SHAPE"
)
