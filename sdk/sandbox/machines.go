package sandbox

import "strings"

// Machine is a registered machine (contract §2.2).
type Machine struct {
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
	CreatedAt      Moment            `json:"createdAt"`
	UpdatedAt      Moment            `json:"updatedAt"`
	IdentityRef    string            `json:"identityRef,omitempty"`
	IdentityProof  *Proof            `json:"identityProof,omitempty"`
}

// machine returns a machine by id, archived ones included.
func (s *Server) machine(id string) (*Machine, error) {
	if m := s.st.Machines.get(id); m != nil {
		return m, nil
	}
	return nil, notFound("the machine")
}

// activeMachine returns a machine if its identity is verified and it is active. Degraded counts as
// active (contract §2.5).
func (s *Server) activeMachine(id string) (*Machine, error) {
	m, err := s.machine(id)
	switch {
	case err != nil:
		return nil, err
	case m.Status != "active" && m.Status != "degraded":
		return nil, fail("MACHINE_NOT_ACTIVE", "the machine is "+m.Status+", not active")
	}
	if err := s.verify(m); err != nil {
		return nil, err
	}
	return m, nil
}

// verify checks the stored proof of a machine against the registry, as at each read (contract §2.2).
func (s *Server) verify(m *Machine) error {
	if err := s.registry(); err != nil {
		return err
	}
	if !s.verified(m) {
		return fail("MACHINE_NOT_ACTIVATED", "the machine's identity is no longer verified")
	}
	return nil
}

func (s *Server) listMachines(c *call) (any, error) {
	if err := s.registry(); err != nil {
		return nil, err
	}
	shown := func(m *Machine) bool { return m.Status != "archived" && s.verified(m) }
	return pageOf(c, s.st.Machines.rows, shown, func(m *Machine) any { return m })
}

func (s *Server) createMachine(c *call) (any, error) {
	in := c.in
	m := &Machine{
		ID: newID("mach"), Status: "draft", CreatedAt: c.stamp(), UpdatedAt: c.stamp(),
		DisplayName: in.required("displayName"), OwnerID: in.required("ownerId"), MachineType: in.requiredAny("machineType"),
		RuntimeProfile: in.requiredAny("runtimeProfile"),
	}
	given := in.required("identityRef")
	m.takeLists(in)
	if in.err != nil {
		return nil, in.err
	}
	var err error
	if m.IdentityRef, err = s.acceptedRef(given); err != nil {
		return nil, err
	}
	if m.IdentityProof, err = s.proveIdentity(c, m.IdentityRef); err != nil {
		return nil, err
	}
	if s.byIdentity[identityKey(m.IdentityRef)] != "" {
		return nil, fail("MACHINE_IDENTITY_EXISTS", "a machine with this identity is already registered")
	}
	if !s.st.Machines.add(s.next(), m.ID, "", m) {
		return nil, invalid("the limit of machines is reached")
	}
	s.byIdentity[identityKey(m.IdentityRef)] = m.ID
	c.audit("machine.created", "machine", m.ID, m.ID, map[string]any{"displayName": m.DisplayName, "identityRef": m.IdentityRef})
	return c.created(m)
}

// takeLists reads the lists and labels that were sent. They replace the stored ones, even if empty.
// What was never sent is empty, not absent.
func (m *Machine) takeLists(in *members) {
	in.replace("capabilities", &m.Capabilities)
	in.replace("policyIds", &m.PolicyIDs)
	in.replace("skillKeys", &m.SkillKeys)
	if labels, sent := in.textMap("labels"); sent || m.Labels == nil {
		m.Labels = labels
	}
}

// getMachine verifies the identity again (contract §2.2). An archived machine stays readable.
func (s *Server) getMachine(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	if m.Status != "archived" {
		if err := s.verify(m); err != nil {
			return nil, err
		}
	}
	return item(m), nil
}

func (s *Server) updateMachine(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	if m.Status == "archived" {
		return nil, fail("MACHINE_NOT_ACTIVE", "the machine is archived")
	}
	in, next := c.in, *m
	in.patch("displayName", &next.DisplayName)
	in.patch("ownerId", &next.OwnerID)
	in.patchAny("machineType", &next.MachineType)
	in.patchAny("runtimeProfile", &next.RuntimeProfile)
	if status := in.oneOf("status", "draft", "active", "degraded", "blocked", "archived"); status != "" {
		next.Status = status
	}
	next.takeLists(in)
	ref := in.text("identityRef")
	if in.err != nil {
		return nil, in.err
	}
	if in.has("identityRef") {
		if err := sameIdentity(ref, m.IdentityRef); err != nil {
			return nil, err
		}
	}
	if in.has("identityProof") {
		if next.IdentityProof, err = s.proveIdentity(c, m.IdentityRef); err != nil {
			return nil, err
		}
	}
	if next.Status == "active" {
		if err := s.registry(); err != nil {
			return nil, err
		}
		if !s.verified(&next) {
			return nil, fail("MACHINE_NOT_ACTIVATED", "the machine's identity is not verified: send an identityProof")
		}
	}
	next.UpdatedAt = c.stamp()
	*m = next
	if m.Status == "archived" {
		return item(m), s.archive(c, m)
	}
	c.audit("machine.updated", "machine", m.ID, m.ID, map[string]any{"status": m.Status})
	return item(m), nil
}

func sameIdentity(given, stored string) error {
	canonical := canonicalRef(given)
	switch {
	case canonical == "":
		return invalid("identityRef is not a machine DID (did:peaq:<number>)")
	case !strings.EqualFold(canonical, stored):
		return fail("MACHINE_IDENTITY_IMMUTABLE", "the identity of a machine cannot change")
	}
	return nil
}

func (s *Server) archiveMachine(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil || m.Status == "archived" {
		return nil, err
	}
	return nil, s.archive(c, m)
}

// archive takes a machine out of use and frees its identity.
func (s *Server) archive(c *call, m *Machine) error {
	m.Status, m.UpdatedAt = "archived", c.stamp()
	if key := identityKey(m.IdentityRef); s.byIdentity[key] == m.ID {
		delete(s.byIdentity, key)
	}
	s.live.closeMachine(m.ID)
	c.audit("machine.archived", "machine", m.ID, m.ID, nil)
	return nil
}
