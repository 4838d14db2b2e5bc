package sandbox

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
)

// catalogueFiles hold the skills and services, a file per kind. A file more is a
// further part of the catalogue; files are read in the order of their names.
//
//go:embed catalogue/*.json
var catalogueFiles embed.FS

// offer is a service with what its file says beside the wire.
type offer struct {
	Service
	Private     bool     `json:"private"`     // listed only for a pairing token
	Reads       []string `json:"reads"`       // operations that a direct read may ask for
	Runtime     string   `json:"runtime"`     // provider key of the machine's endpoint that serves it
	Credentials string   `json:"credentials"` // the member of providerCredentials that it needs
}

// price is what one order costs; 0 when that is not fixed.
func (o *offer) price() float64 {
	if o.Pricing.Amount == nil {
		return 0
	}
	return *o.Pricing.Amount
}

// contract is that of an operation, nil when there is none.
func (o *offer) contract(operation string) *OperationContract {
	i := slices.IndexFunc(o.OperationContracts, func(k OperationContract) bool { return k.Operation == operation })
	if i < 0 {
		return nil
	}
	return &o.OperationContracts[i]
}

// catalogue is what the market sells. It never changes while the server runs.
type catalogue struct {
	skills   []*row[skill]
	services []*row[offer]
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
		b, err := catalogueFiles.ReadFile(name)
		if err == nil {
			err = cat.read(b)
		}
		if err != nil {
			return nil, fmt.Errorf("sandbox: %s: %w", name, err)
		}
	}
	return cat, nil
}

func (cat *catalogue) read(b []byte) error {
	var file struct {
		Skills   []*skill `json:"skills"`
		Services []*offer `json:"services"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return err
	}
	for _, k := range file.Skills {
		if k.Key == "" || cat.byKey[k.Key] != nil {
			return fmt.Errorf("the skill %q is there twice, or has no key", k.Key)
		}
		cat.byKey[k.Key] = k
		cat.skills = append(cat.skills, &row[skill]{Seq: uint64(len(cat.skills) + 1), ID: k.Key, V: k})
	}
	for _, o := range file.Services {
		switch {
		case o.ID == "" || cat.byID[o.ID] != nil:
			return fmt.Errorf("the service %q is there twice, or has no id", o.ID)
		case cat.byKey[o.SkillKey] == nil:
			return fmt.Errorf("the service %s is of a skill that is not there: %q", o.ID, o.SkillKey)
		case len(o.Operations) == 0:
			return fmt.Errorf("the service %s has no operation", o.ID)
		}
		cat.byID[o.ID] = o
		cat.services = append(cat.services, &row[offer]{Seq: uint64(len(cat.services) + 1), ID: o.ID, V: o})
	}
	return nil
}
