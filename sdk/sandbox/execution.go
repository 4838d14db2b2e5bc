package sandbox

import (
	"encoding/json"
	"net/http"
)

// execution is the result of running an order or a direct read (contract §2.14): statusCode 200
// with run and outcome, or 202 with a handoff.
type execution struct {
	StatusCode int             `json:"statusCode,omitempty"`
	Task       json.RawMessage `json:"task,omitempty"`
	Route      json.RawMessage `json:"route,omitempty"`
	Run        *run            `json:"run,omitempty"`
	Outcome    *outcome        `json:"outcome,omitempty"`
	Handoff    *Handoff        `json:"handoff,omitempty"`
}

type run struct {
	ID            string `json:"id"`
	Status        string `json:"status"`
	ExecutionMode string `json:"executionMode"`
	SkillKey      string `json:"skillKey"`
	ServiceID     string `json:"serviceId"`
	OutcomeID     string `json:"outcomeId"`
}

type outcome struct {
	ID            string          `json:"id"`
	Status        string          `json:"status"`
	SkillKey      string          `json:"skillKey"`
	ServiceID     string          `json:"serviceId"`
	ExecutionMode string          `json:"executionMode"`
	Result        json.RawMessage `json:"result,omitempty"`
	ErrorCode     string          `json:"errorCode,omitempty"`
	ErrorMessage  string          `json:"errorMessage,omitempty"`
	ExternalRef   string          `json:"externalRef,omitempty"`
}

// job is one thing to run: an operation of a service for a machine, requested by a pairing, as an
// order or as a direct read.
type job struct {
	service     *offer
	machineID   string
	pairingID   string
	orderID     string // "" for a direct read
	operation   string
	input       json.RawMessage // an object
	credentials map[string]bool // providers whose credentials were sent
}

// result is the result of a job. A code makes it a failed outcome, which is not a failed request:
// the caller still gets 200.
type result struct {
	value       json.RawMessage // any JSON; nil when there is none
	code, why   string
	externalRef string
}

// failure returns the result of a failed job.
func failure(code, why string) result { return result{code: code, why: why} }

// perform runs a job where its service runs. It is called under the lock and may release it while
// it waits (call.unlocked), so the caller looks everything up again. An error is sent in the error
// envelope and leaves the order unchanged.
func (s *Server) perform(c *call, j job) (result, error) {
	switch {
	case j.service.ProviderKey == "onem2m":
		return s.runOneM2M(c, j)
	case j.service.Runtime != "":
		return s.runOnMachine(c, j)
	}
	return s.runHere(c, j)
}

// admit rejects an input that the service's provider would not accept, before an order is created.
func (s *Server) admit(c *call, j job) error {
	if j.service.ProviderKey == "onem2m" {
		return s.admitOneM2M(c, j)
	}
	return nil
}

// executionOf returns the execution of a job. Only oneM2M services have an errorCode.
func executionOf(j job, r result) *execution {
	o := j.service
	status := "completed"
	if r.code != "" {
		status = "failed"
	}
	out := &outcome{
		ID: newID("outc"), Status: status, SkillKey: o.SkillKey, ServiceID: o.ID, ExecutionMode: o.ExecutionMode,
		Result: r.value, ErrorMessage: r.why, ExternalRef: r.externalRef,
	}
	if o.ProviderKey == "onem2m" {
		out.ErrorCode = r.code
	}
	return &execution{
		StatusCode: http.StatusOK,
		Task:       object(map[string]any{"id": newID("task"), "status": status, "machineId": j.machineID, "operation": j.operation}),
		Route: object(map[string]any{
			"id": newID("route"), "status": status, "executionMode": o.ExecutionMode, "integrationStatus": o.IntegrationStatus,
		}),
		Run: &run{
			ID: newID("run"), Status: status, ExecutionMode: o.ExecutionMode, SkillKey: o.SkillKey, ServiceID: o.ID,
			OutcomeID: out.ID,
		},
		Outcome: out,
	}
}

// object returns a map as JSON. Nothing passed to it can fail to be encoded.
func object(v map[string]any) json.RawMessage {
	b, _ := marshal(v)
	return b
}
