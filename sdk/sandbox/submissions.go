package sandbox

import "encoding/json"

// submission is a skill that somebody proposes (contract §3.1). Nobody reviews it
// here: it stays submitted.
type submission struct {
	ID           string          `json:"id"`
	Status       string          `json:"status"`
	CreatedAt    Moment          `json:"createdAt"`
	UpdatedAt    Moment          `json:"updatedAt"`
	ProviderName string          `json:"providerName"`
	SkillName    string          `json:"skillName"`
	Description  string          `json:"description"`
	ServiceTypes []string        `json:"serviceTypes"`
	Operations   []string        `json:"operations"`
	ReferenceURL string          `json:"referenceUrl,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
}

// submitSkill answers an item: the envelope is not known, nor who may call.
func (s *Server) submitSkill(c *call) (any, error) {
	in := c.in
	v := &submission{
		ID: newID("skillsub"), Status: "submitted", CreatedAt: c.stamp(), UpdatedAt: c.stamp(),
		ProviderName: in.need("providerName"), SkillName: in.need("skillName"), Description: in.need("description"),
		ReferenceURL: in.text("referenceUrl"), Metadata: in.raw("metadata"),
	}
	var types, operations bool
	v.ServiceTypes, types = in.texts("serviceTypes")
	v.Operations, operations = in.texts("operations")
	switch {
	case in.err != nil:
		return nil, in.err
	case !types || !operations:
		return nil, invalid("serviceTypes and operations must be arrays of strings")
	}
	s.st.Submissions.add(s.next(), v.ID, "", v)
	c.audit("skill.submitted", "skill-submission", v.ID, "", map[string]any{"skillName": v.SkillName})
	return c.created(map[string]any{"id": v.ID, "status": v.Status, "createdAt": v.CreatedAt})
}

func (s *Server) getSubmission(c *call) (any, error) {
	v := s.st.Submissions.get(c.id("submission"))
	if v == nil {
		return nil, notFound("the submission")
	}
	return item(map[string]any{"id": v.ID, "status": v.Status, "createdAt": v.CreatedAt, "updatedAt": v.UpdatedAt}), nil
}
