// Package systemd holds the unit under which systemd runs the agent.
//
// The unit is the file peaqos-agent.service next to this one. It is embedded, so that
// "peaqos-agent service install" and a package install the same text, and there is only
// one unit to maintain. [Name] is what systemctl calls it.
//
// The unit itself explains each of its lines. check/systemd-booted.sh tests it on a
// booted systemd.
package systemd

import _ "embed"

// Name is the unit's name without its suffix.
const Name = "peaqos-agent"

//go:embed peaqos-agent.service
var unit string

// Unit returns the text of the unit as it is installed in /etc/systemd/system.
func Unit() string { return unit }
