package config

import (
	"maps"
	"os"
	"slices"
)

// readFlags takes the command line's values.
func (l *loader) readFlags(flags map[string]string) {
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		from := Origin{Kind: "flag", Name: flagName(path)}
		r, ok := l.byPath[path]
		if !ok {
			l.faultAt(from, path, "there is no such key")
			continue
		}
		at, index, fault := l.onlyPlace(r)
		if fault != "" {
			l.faultAt(from, path, fault)
			continue
		}
		l.set(r, index, flags[path], l.workingDir(), at, from)
	}
}

// onlyPlace is where a key goes that is not in the file: for one of machines[],
// the only machine and its only endpoint, made if there is none.
func (l *loader) onlyPlace(r row) (at place, path, fault string) {
	if !isMachineKey(r.Path) {
		return l.place(-1, -1), r.Path, ""
	}
	switch len(l.config.Machines) {
	case 0:
		l.addMachines(1)
	case 1:
	default:
		return place{}, "", "there are several machines; give it in the file"
	}
	if !isEndpointKey(r.Path) {
		return l.place(0, -1), concrete(r.Path, "0", ""), ""
	}
	switch len(l.config.Machines[0].Endpoints) {
	case 0:
		l.addEndpoints(0, 1)
	case 1:
	default:
		return place{}, "", "there are several endpoints; give it in the file"
	}
	return l.place(0, 0), concrete(r.Path, "0", "0"), ""
}

func (l *loader) workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}
