package sandbox

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
)

// catalogueFiles holds the skills and services. The files are read in the order of their names;
// another file extends the catalogue.
//
//go:embed catalogue/*.json
var catalogueFiles embed.FS

// offer is a service with the settings that are not sent to clients.
type offer struct {
	Service
	Private     bool     `json:"private"`     // listed for pairing tokens only
	Reads       []string `json:"reads"`       // operations allowed as direct reads
	Runtime     string   `json:"runtime"`     // provider key of the machine's endpoint that runs it
	Credentials string   `json:"credentials"` // the required member of providerCredentials
}

// price returns the price of one order; 0 when it is not fixed.
func (o *offer) price() float64 {
	if o.Pricing.Amount == nil {
		return 0
	}
	return *o.Pricing.Amount
}

// contract returns the contract of an operation, or nil.
func (o *offer) contract(operation string) *OperationContract {
	i := slices.IndexFunc(o.OperationContracts, func(k OperationContract) bool { return k.Operation == operation })
	if i < 0 {
		return nil
	}
	return &o.OperationContracts[i]
}

// catalogue holds what the market offers. It does not change while the server runs.
type catalogue struct {
	skills   []*row[skill]
	services []*row[offer]
	byKey    map[string]*skill
	byID     map[string]*offer
}

// newCatalogue reads the files and rejects an inconsistent catalogue.
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
			return fmt.Errorf("the skill %q occurs twice or has no key", k.Key)
		}
		cat.byKey[k.Key] = k
		cat.skills = append(cat.skills, &row[skill]{Seq: uint64(len(cat.skills) + 1), ID: k.Key, V: k})
	}
	for _, o := range file.Services {
		switch {
		case o.ID == "" || cat.byID[o.ID] != nil:
			return fmt.Errorf("the service %q occurs twice or has no id", o.ID)
		case cat.byKey[o.SkillKey] == nil:
			return fmt.Errorf("the service %s belongs to an unknown skill %q", o.ID, o.SkillKey)
		case len(o.Operations) == 0:
			return fmt.Errorf("the service %s has no operation", o.ID)
		}
		cat.byID[o.ID] = o
		cat.services = append(cat.services, &row[offer]{Seq: uint64(len(cat.services) + 1), ID: o.ID, V: o})
	}
	return nil
}
