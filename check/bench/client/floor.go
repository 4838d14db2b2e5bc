package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// floor makes the same calls by hand: the transport and the limits of the SDK,
// encoding/json in both directions, and no check of anything but the status.
type floor struct {
	base   string
	client *http.Client
}

func newFloor(base string) *floor {
	return &floor{base, &http.Client{Transport: http.DefaultTransport, Timeout: 60 * time.Second}}
}

type floorBeat struct {
	MachineID       string          `json:"machineId"`
	AgentID         string          `json:"agentId"`
	AgentToken      string          `json:"agentToken"`
	Endpoints       []floorEndpoint `json:"endpoints"`
	LeaseTTLSeconds int             `json:"leaseTtlSeconds,omitempty"`
}

type floorEndpoint struct {
	ProviderKey     string `json:"providerKey"`
	EndpointBaseURL string `json:"endpointBaseUrl"`
	Label           string `json:"label,omitempty"`
	AuthType        string `json:"authType,omitempty"`
	AuthToken       string `json:"authToken,omitempty"`
	ModelAlias      string `json:"modelAlias,omitempty"`
	NetworkScope    string `json:"networkScope,omitempty"`
	ProbePath       string `json:"probePath,omitempty"`
}

type floorBeatResult struct {
	Item struct {
		MachineID       string `json:"machineId"`
		AgentID         string `json:"agentId"`
		LeaseTTLSeconds int    `json:"leaseTtlSeconds"`
		ObservedAt      string `json:"observedAt"`
		Endpoints       []struct {
			ProviderKey     string `json:"providerKey"`
			EndpointBaseURL string `json:"endpointBaseUrl"`
			Status          string `json:"status"`
			LeaseExpiresAt  string `json:"leaseExpiresAt"`
			HealthError     string `json:"healthError"`
		} `json:"endpoints"`
	} `json:"item"`
}

type floorMachine struct {
	ID             string            `json:"id"`
	DisplayName    string            `json:"displayName"`
	Status         string            `json:"status"`
	OwnerID        string            `json:"ownerId"`
	MachineType    string            `json:"machineType"`
	RuntimeProfile string            `json:"runtimeProfile"`
	Capabilities   []string          `json:"capabilities"`
	Labels         map[string]string `json:"labels"`
	PolicyIDs      []string          `json:"policyIds"`
	SkillKeys      []string          `json:"skillKeys"`
	CreatedAt      string            `json:"createdAt"`
	UpdatedAt      string            `json:"updatedAt"`
	IdentityRef    string            `json:"identityRef"`
	IdentityProof  *struct {
		Method              string   `json:"method"`
		IdentityRef         string   `json:"identityRef"`
		SignerAddress       string   `json:"signerAddress"`
		ChallengeID         string   `json:"challengeId"`
		VerifiedAt          string   `json:"verifiedAt"`
		ChallengeExpiresAt  string   `json:"challengeExpiresAt"`
		ControllerAddresses []string `json:"controllerAddresses"`
		ResolutionSource    string   `json:"resolutionSource"`
	} `json:"identityProof"`
}

func (f *floor) beat(ctx context.Context) error {
	body, err := json.Marshal(floorBeat{
		MachineID: "mach_0001", AgentID: "magt_0001", AgentToken: agentToken, LeaseTTLSeconds: 90,
		Endpoints: []floorEndpoint{{
			ProviderKey: "qvac", EndpointBaseURL: "http://127.0.0.1:11434", AuthType: "none", NetworkScope: "loopback", ProbePath: "/v1/models",
		}},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.base+"/api/v1/machine-agents/heartbeat", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	var result floorBeatResult
	if err := f.do(req, &result); err != nil {
		return err
	}
	if result.Item.LeaseTTLSeconds != 90 || len(result.Item.Endpoints) != 1 {
		return fmt.Errorf("the response is %+v", result)
	}
	return nil
}

func (f *floor) machines(ctx context.Context, limit int) iter.Seq2[floorMachine, error] {
	return func(yield func(floorMachine, error) bool) {
		query := url.Values{}
		if limit > 0 {
			query.Set("limit", strconv.Itoa(limit))
		}
		for {
			var page struct {
				Items      []floorMachine `json:"items"`
				NextCursor string         `json:"nextCursor"`
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+"/api/v1/machines?"+query.Encode(), nil)
			if err == nil {
				req.Header.Set("X-Api-Key", apiKey)
				err = f.do(req, &page)
			}
			if err != nil {
				yield(floorMachine{}, err)
				return
			}
			for _, m := range page.Items {
				if !yield(m, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			query.Set("cursor", page.NextCursor)
		}
	}
}

func (f *floor) do(req *http.Request, out any) error {
	req.Header.Set("User-Agent", "floor/1")
	res, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", res.StatusCode)
	}
	return json.NewDecoder(res.Body).Decode(out)
}
