package config

import (
	"io"
	"os"
	"strconv"
	"strings"
)

// complete fills in the defaults that depend on something else.
func (l *loader) complete(hostname string) {
	c := l.config
	if len(c.Machines) == 0 {
		l.addMachines(1)
	}
	if c.Machines[0].Name == "" {
		c.Machines[0].Name = "main"
	}
	if hostname == "" {
		hostname, _ = os.Hostname() // an unnamed host gets an unnamed label
	}
	for i := range c.Machines {
		m := &c.Machines[i]
		if m.AgentLabel == "" {
			m.AgentLabel = "peaqos-agent@" + hostname
		}
		l.readIdentityRef(m, "machines["+strconv.Itoa(i)+"]")
		for j := range m.Endpoints {
			e := &m.Endpoints[j]
			switch {
			case e.ProbePath != "":
			case e.ProviderKey == "qvac":
				e.ProbePath = "/v1/models"
			default:
				e.ProbePath = "/health"
			}
		}
	}
	if c.Telemetry.Listen == "off" {
		c.Telemetry.Listen = ""
	}
}

// readIdentityRef takes the identity from its file: one line.
func (l *loader) readIdentityRef(m *Machine, path string) {
	if m.IdentityRefFile == "" || l.bad[path+".identity_ref_file"] {
		return
	}
	path += ".identity_ref"
	if m.IdentityRef != "" {
		l.fault(path+"_file", "identity_ref is given as well; keep one of the two")
		return
	}
	f, err := os.Open(m.IdentityRefFile)
	var text []byte
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, 1024))
	}
	if err != nil {
		l.fault(path+"_file", m.IdentityRefFile+" cannot be read: "+cause(err))
		return
	}
	m.IdentityRef = strings.TrimSpace(string(text))
	if fault := identityRefFault(m.IdentityRef); fault != "" {
		l.fault(path+"_file", m.IdentityRefFile+": "+fault)
		l.bad[path] = true
		return
	}
	l.origins[path] = Origin{Kind: "file", Name: m.IdentityRefFile}
}
