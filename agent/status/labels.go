package status

// The values of the labels of counters. The daemon counts under them, and the
// metrics list them all, so that a series exists before its first event.

// RequestKind is one series of the requests that were sent.
type RequestKind struct {
	Operation string // one of enroll, heartbeat, challenge, other
	Code      string // 2xx to 5xx, or error when no answer came
}

func RequestOperations() []string { return []string{"enroll", "heartbeat", "challenge", "other"} }

func RequestResults() []string { return []string{"2xx", "3xx", "4xx", "5xx", "error"} }

// heartbeatResults are the values of the label result.
func HeartbeatResults() []string {
	return []string{"success", "client_error", "server_error", "rate_limited", "timeout", "network", "tls", "dns", "middlebox", "clock"}
}
