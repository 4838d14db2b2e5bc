package sandbox

import (
	"net/http"
)

func (s *Server) listMachines(r *request) (any, error) {
	out := []*Machine{}
	for _, m := range s.data.Machines {
		if m.Status != "archived" {
			out = append(out, m)
		}
	}
	return page(r, out)
}

func (s *Server) createMachine(r *request) (any, error) {
	m := &Machine{ID: newID("mach"), Status: "draft", CreatedAt: stamp(r.now), UpdatedAt: stamp(r.now)}
	for name, v := range map[string]*string{"displayName": &m.DisplayName, "ownerId": &m.OwnerID, "machineType": &m.MachineType, "runtimeProfile": &m.RuntimeProfile} {
		text, err := r.text(name, true)
		if err != nil {
			return nil, err
		}
		*v = text
	}
	if err := r.lists(m); err != nil {
		return nil, err
	}
	given, err := r.text("identityRef", true)
	if err != nil {
		return nil, err
	}
	if m.IdentityRef = canonical(given); m.IdentityRef == "" {
		return nil, invalid("identityRef is not a machine DID")
	}
	if m.IdentityProof, err = s.prove(r, m.IdentityRef); err != nil {
		return nil, err
	}
	for _, other := range s.data.Machines {
		if other.IdentityRef == m.IdentityRef && other.Status != "archived" {
			return nil, fail(http.StatusConflict, "MACHINE_IDENTITY_EXISTS", "a machine with this identity exists")
		}
	}
	s.data.Machines = append(s.data.Machines, m)
	s.audit(r, "platform", "machine.created", "machine", m.ID, m.ID)
	r.status = http.StatusCreated
	return item(m), nil
}

// lists reads the members that replace what is stored, empty ones included.
func (r *request) lists(m *Machine) error {
	for name, v := range map[string]*[]string{"capabilities": &m.Capabilities, "policyIds": &m.PolicyIDs, "skillKeys": &m.SkillKeys} {
		if r.has(name) {
			*v = nil // never into the stored list's memory
		}
		if err := r.into(name, v); err != nil {
			return err
		}
	}
	if r.has("labels") {
		m.Labels = nil
	}
	if err := r.into("labels", &m.Labels); err != nil {
		return err
	}
	for _, l := range []*[]string{&m.Capabilities, &m.PolicyIDs, &m.SkillKeys} {
		if *l == nil {
			*l = []string{}
		}
	}
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	return nil
}

func (s *Server) getMachine(r *request) (any, error) {
	m, err := s.machine(r.PathValue("machine"))
	if err != nil {
		return nil, err
	}
	return item(m), nil
}

func (s *Server) updateMachine(r *request) (any, error) {
	m, err := s.machine(r.PathValue("machine"))
	if err != nil {
		return nil, err
	}
	changed := *m
	for name, v := range map[string]*string{"displayName": &changed.DisplayName, "ownerId": &changed.OwnerID, "machineType": &changed.MachineType, "runtimeProfile": &changed.RuntimeProfile, "status": &changed.Status} {
		if !r.has(name) {
			continue
		}
		if *v, err = r.text(name, true); err != nil {
			return nil, err
		}
	}
	if err := r.lists(&changed); err != nil {
		return nil, err
	}
	if given, err := r.text("identityRef", false); err != nil {
		return nil, err
	} else if given != "" && canonical(given) != m.IdentityRef {
		return nil, fail(http.StatusConflict, "MACHINE_IDENTITY_IMMUTABLE", "a machine keeps its identity")
	}
	if r.has("identityProof") {
		if changed.IdentityProof, err = s.prove(r, m.IdentityRef); err != nil {
			return nil, err
		}
	}
	switch changed.Status {
	case "draft", "active", "degraded", "blocked", "archived":
	default:
		return nil, invalid("status is not one of draft, active, degraded, blocked, archived")
	}
	if changed.Status == "active" && changed.IdentityProof == nil {
		return nil, fail(http.StatusConflict, "MACHINE_NOT_ACTIVATED", "the machine's identity is not verified")
	}
	changed.UpdatedAt = stamp(r.now)
	*m = changed
	s.audit(r, "platform", "machine.updated", "machine", m.ID, m.ID)
	return item(m), nil
}

func (s *Server) archiveMachine(r *request) (any, error) {
	m, err := s.machine(r.PathValue("machine"))
	if err != nil {
		return nil, err
	}
	m.Status, m.UpdatedAt = "archived", stamp(r.now)
	s.audit(r, "platform", "machine.archived", "machine", m.ID, m.ID)
	return nil, nil
}
