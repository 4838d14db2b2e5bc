package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// dropInDir is the directory beside the configuration file that is read for drop-ins:
// files by which the package of a runtime publishes it.
const dropInDir = "conf.d"

const (
	maxDropIn  = 64 << 10 // bytes
	maxDropIns = 256
)

// A drop-in has only these keys: the name of a machine, which is needed if there are
// several, and endpoints, which are added to the machine's own.
const (
	dropInMachine   = "machine"
	dropInEndpoints = "endpoints"
)

// readDropIns reads every *.yaml of the directory, in the order of their names, after
// the file, the environment and the flags: none of these applies to their endpoints.
func (l *loader) readDropIns(src Source, env map[string]string) {
	if src.NoFile || l.unread {
		return
	}
	path, _ := src.file(env)
	dir := filepath.Join(filepath.Dir(path), dropInDir)
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		l.faultAt(origin{name: dir}, "", "cannot be read: "+withoutPath(err).Error()+"; it must be a directory that the agent may read")
		return
	}
	for _, e := range entries {
		name := e.Name()
		file := filepath.Join(dir, name)
		switch {
		case strings.HasPrefix(name, "."):
		case filepath.Ext(name) == ".yml":
			l.warn("%s is ignored: the name of a drop-in must end in .yaml", file)
		case filepath.Ext(name) != ".yaml":
		case len(l.config.DropIns) == maxDropIns:
			l.faultAt(origin{name: dir}, "", fmt.Sprintf("holds more than %d drop-ins", maxDropIns))
			return
		default:
			l.readDropIn(file)
		}
	}
}

func (l *loader) readDropIn(file string) {
	text, mode, err := readRegular(file, maxDropIn)
	if err != nil {
		l.faultAt(origin{name: file}, "", "cannot be read: "+err.Error()+"; correct the file or remove it")
		return
	}
	if mode.Perm()&0o002 != 0 {
		l.warn("%s can be written by every user of this machine, who could publish something else; run chmod o-w on it", file)
	}
	l.config.DropIns = append(l.config.DropIns, file)
	y := &yamlReader{l: l, file: file, dir: filepath.Dir(file)}
	if abs, err := filepath.Abs(file); err == nil {
		y.dir = filepath.Dir(abs)
	}
	if doc := y.parse(text); doc != nil {
		y.dropIn(follow(doc))
	}
}

// dropIn reads the document of a drop-in.
func (y *yamlReader) dropIn(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		y.l.faultAt(y.at(n), "", "must hold the key endpoints, not "+describe(n))
		return
	}
	machine, list := -1, entry{}
	for _, e := range y.entries(n, "") {
		value := follow(e.node)
		switch e.key {
		case dropInEndpoints:
			list = e
		case dropInMachine:
			text, fault := scalar(value, "string")
			if machine = y.l.machineNamed(text); fault == "" && machine < 0 {
				fault = "names no machine of this configuration: " + quoteBrief(text)
			}
			if fault != "" {
				y.l.faultAt(y.at(value), dropInMachine, fault)
				return
			}
		default:
			y.l.faultAt(y.at(e.name), safeKey(e.key), "unknown key; a drop-in has only machine and endpoints, everything else belongs into the configuration file")
		}
	}
	switch {
	case list.node == nil:
		y.l.faultAt(y.at(n), dropInEndpoints, "is missing; a drop-in without endpoints has no effect")
	case len(y.l.config.Machines) > 1 && machine < 0:
		y.l.faultAt(y.at(n), dropInMachine, "is missing; the configuration has several machines")
	default:
		if len(y.l.config.Machines) == 0 {
			y.l.addMachines(1)
		}
		machine = max(machine, 0)
		y.endpoints(follow(list.node), "machines["+strconv.Itoa(machine)+"].endpoints", y.l.place(machine, -1))
	}
}

// machineNamed is the index of a machine; -1 if there is none of that name.
func (l *loader) machineNamed(name string) int {
	for i, m := range l.config.Machines {
		if own := m.Name; own == name || i == 0 && cmp.Or(own, "main") == name {
			return i
		}
	}
	if len(l.config.Machines) == 0 && name == "main" {
		return 0
	}
	return -1
}
