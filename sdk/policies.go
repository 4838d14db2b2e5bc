package sdk

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

// PoliciesService manages the policies that machines refer to in PolicyIDs (contract
// §2.20).
type PoliciesService struct{ c *Client }

// Policy is one set of rules.
type Policy struct {
	Meta                 `json:"-"`
	ID                   string     `json:"id" wire:"req"`
	Name                 string     `json:"name" wire:"req"`
	AllowedSkillKeys     []string   `json:"allowedSkillKeys"`
	DeniedSkillKeys      []string   `json:"deniedSkillKeys"`
	BudgetCap            *BudgetCap `json:"budgetCap"`
	RegionRules          []string   `json:"regionRules"`
	NativeOnly           bool       `json:"nativeOnly" wire:"req"`
	HandoffAllowed       bool       `json:"handoffAllowed" wire:"req"`
	RequiredCapabilities []string   `json:"requiredCapabilities"`
	CreatedAt            string     `json:"createdAt" wire:"req"`
	UpdatedAt            string     `json:"updatedAt" wire:"req"`
}

// BudgetCap is a spending limit.
type BudgetCap struct {
	Currency string      `json:"currency" wire:"req"`
	Amount   json.Number `json:"amount" wire:"req"`
}

// CreatePolicy is the request of [PoliciesService.Create].
type CreatePolicy struct {
	Name                 string              `json:"name"`
	AllowedSkillKeys     Optional[[]string]  `json:"allowedSkillKeys,omitzero"`
	DeniedSkillKeys      Optional[[]string]  `json:"deniedSkillKeys,omitzero"`
	BudgetCap            Optional[BudgetCap] `json:"budgetCap,omitzero"`
	RegionRules          Optional[[]string]  `json:"regionRules,omitzero"`
	NativeOnly           Optional[bool]      `json:"nativeOnly,omitzero"`
	HandoffAllowed       Optional[bool]      `json:"handoffAllowed,omitzero"`
	RequiredCapabilities Optional[[]string]  `json:"requiredCapabilities,omitzero"`
}

func (p CreatePolicy) check(identityRefs) error { return nonBlank("name", p.Name) }

// UpdatePolicy is the request of [PoliciesService.Update]. Unset fields do not change.
type UpdatePolicy struct {
	Name                 Optional[string]    `json:"name,omitzero"`
	AllowedSkillKeys     Optional[[]string]  `json:"allowedSkillKeys,omitzero"`
	DeniedSkillKeys      Optional[[]string]  `json:"deniedSkillKeys,omitzero"`
	BudgetCap            Optional[BudgetCap] `json:"budgetCap,omitzero"`
	RegionRules          Optional[[]string]  `json:"regionRules,omitzero"`
	NativeOnly           Optional[bool]      `json:"nativeOnly,omitzero"`
	HandoffAllowed       Optional[bool]      `json:"handoffAllowed,omitzero"`
	RequiredCapabilities Optional[[]string]  `json:"requiredCapabilities,omitzero"`
}

// List returns the first page of policies, which is all of them unless it has a NextCursor.
//
// GET /policies (contract §2.20)
func (s *PoliciesService) List(ctx context.Context) (*Page[Policy], error) {
	return s.page(ctx, ListOptions{})
}

// All walks over the policies of all pages.
//
// GET /policies (contract §2.20)
func (s *PoliciesService) All(ctx context.Context, o ListOptions) iter.Seq2[Policy, error] {
	return each(o, func(o ListOptions) (*Page[Policy], error) { return s.page(ctx, o) })
}

func (s *PoliciesService) page(ctx context.Context, o ListOptions) (*Page[Policy], error) {
	return list[Policy](ctx, s.c.call(http.MethodGet, "/policies").page(o))
}

// Create creates a policy.
//
// POST /policies (contract §2.20)
func (s *PoliciesService) Create(ctx context.Context, in CreatePolicy) (*Policy, error) {
	return item[Policy](ctx, s.c.call(http.MethodPost, "/policies").json(in))
}

// Update changes the fields that are set.
//
// PATCH /policies/{policyId} (contract §2.20)
func (s *PoliciesService) Update(ctx context.Context, policyID string, in UpdatePolicy) (*Policy, error) {
	return item[Policy](ctx, s.c.call(http.MethodPatch, "/policies/{policyId}", policyID).json(in))
}

// Get returns one policy.
//
// Experimental: the path is inferred by analogy; no source confirms it.
//
// GET /policies/{policyId} (contract §3.2)
func (s *PoliciesService) Get(ctx context.Context, policyID string) (*Policy, error) {
	return itemOrWhole[Policy](ctx, s.c.call(http.MethodGet, "/policies/{policyId}", policyID))
}
