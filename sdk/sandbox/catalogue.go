package sandbox

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
)

// catalogueFiles hold the skills and services, a file per kind. A file more is a
// further part of the catalogue; files are read in the order of their names.
//
//go:embed catalogue/*.json
var catalogueFiles embed.FS

// offer is a service with what its file says beside the wire.
type offer struct {
	Service
	Private bool   `json:"private"` // listed only for a pairing token
	Runtime string `json:"runtime"` // provider key of the machine's endpoint that serves it
}

// catalogue is what the market sells. It never changes while the server runs.
type catalogue struct {
	Skills   []*row[skill] `json:"skills"`
	Services []*row[offer] `json:"services"`
	byKey    map[string]*skill
	byID     map[string]*offer
}

// newCatalogue reads the files and refuses a catalogue that does not hang together.
func newCatalogue() (*catalogue, error) {
	cat := &catalogue{byKey: map[string]*skill{}, byID: map[string]*offer{}}
	names, err := fs.Glob(catalogueFiles, "catalogue/*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := cat.read(name); err != nil {
			return nil, fmt.Errorf("sandbox: %s: %w", name, err)
		}
	}
	return cat, nil
}

func (cat *catalogue) read(name string) error {
	b, err := catalogueFiles.ReadFile(name)
	if err != nil {
		return err
	}
	var file struct {
		Skills   []*skill `json:"skills"`
		Services []*offer `json:"services"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return err
	}
	for _, k := range file.Skills {
		if cat.byKey[k.Key] != nil {
			return fmt.Errorf("the skill %s is there twice", k.Key)
		}
		cat.byKey[k.Key] = k
		cat.Skills = append(cat.Skills, &row[skill]{Seq: uint64(len(cat.Skills) + 1), ID: k.Key, V: k})
	}
	for _, o := range file.Services {
		if cat.byID[o.ID] != nil {
			return fmt.Errorf("the service %s is there twice", o.ID)
		}
		if cat.byKey[o.SkillKey] == nil {
			return fmt.Errorf("the service %s is of a skill that is not there: %s", o.ID, o.SkillKey)
		}
		cat.byID[o.ID] = o
		cat.Services = append(cat.Services, &row[offer]{Seq: uint64(len(cat.Services) + 1), ID: o.ID, V: o})
	}
	return nil
}
