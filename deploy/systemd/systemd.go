// Package systemd holds the unit under which systemd runs the agent.
//
// The unit is the file peaqos-agent.service beside this one. It is embedded, so
// that "peaqos-agent service install" and a package install the same text: there
// is no second unit to keep in step. [Name] is what systemctl calls it.
//
// What each line is for stands in the unit. It is tried on a booted systemd by
// check/systemd-booted.sh.
package systemd

import _ "embed"

// Name is the unit's name without its suffix.
const Name = "peaqos-agent"

//go:embed peaqos-agent.service
var unit string

// Unit returns the unit's text, as it goes to /etc/systemd/system.
func Unit() string { return unit }
