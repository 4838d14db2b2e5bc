package main

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/doctor"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// writeBundle writes the support bundle.
func (a *app) writeBundle(ctx context.Context, flags doctorFlags, facts doctor.Facts, report doctor.Report, key sdk.Secret) error {
	files := bundleFiles(ctx, facts, report)
	for i := range files {
		files[i].Text = doctor.WithoutUsers(files[i].Text)
	}
	if flags.anonymize {
		anonymizer := doctor.NewAnonymizer(a.identifying(facts))
		for i := range files {
			files[i].Text = anonymizer.Text(files[i].Text)
		}
	}
	secrets := a.localSecrets(facts.Config, key)
	return doctor.WriteBundle(flags.bundle, files, func(text []byte) ([]string, error) {
		var found []string
		for name, secret := range secrets {
			if secret.FoundIn(text) {
				found = append(found, name)
			}
		}
		if facts.Config == nil {
			a.progress("warning: the bundle was not compared with the token, because the configuration does not say where the store is")
			return found, nil
		}
		search, err := ifStored(ctx, facts.Config, agent.SecretSearch{}, func(o owner) (agent.SecretSearch, error) { return o.FindSecrets(ctx, text) })
		if err != nil {
			p := agent.Explain(err)
			if p.Code == status.CodeNotPermitted || p.Code == status.CodeInterrupted {
				return nil, err
			}
			search.Unread = p.Message
		}
		if search.Unread != "" {
			a.progress("warning: the bundle was not compared with every secret of the store: " + search.Unread)
		}
		return append(found, search.Found...), nil
	})
}

// bundleFiles are the files of the bundle. What is not known is left out.
func bundleFiles(ctx context.Context, facts doctor.Facts, report doctor.Report) []doctor.BundleFile {
	var files []doctor.BundleFile
	add := func(name string, text []byte) {
		if len(text) > 0 {
			files = append(files, doctor.BundleFile{Name: name, Text: text})
		}
	}
	addJSON := func(name string, v any) {
		text, err := json.MarshalIndent(v, "", "  ")
		if err == nil {
			add(name, append(text, '\n'))
		}
	}
	add("version.txt", []byte("peaqos-agent "+versionText()+"\n"))
	addJSON("doctor.json", report)
	if facts.View != nil {
		addJSON("status.json", facts.View)
	}
	if cfg := facts.Config; cfg != nil {
		add("config.txt", []byte(cfg.Show(true)))
		add("store.txt", doctor.StoreListing(facts.Store))
		addJSON("network.json", doctor.NetworkOf(facts, "/"))
		if facts.View != nil && facts.View.PID != 0 && cfg.Telemetry.Listen != "" {
			if text, err := fromListener(ctx, cfg, "/metrics"); err == nil {
				add("metrics.txt", text)
			}
		}
	}
	if u := facts.Unit; u.Path != "" {
		text := "# " + u.Path + "\n" + doctor.WithoutValues(u.Text)
		for _, d := range u.DropIns {
			text += "\n# " + d.Path + "\n" + doctor.WithoutValues(d.Text)
		}
		add("unit.txt", []byte(text))
	}
	add("journal.txt", journalTail(ctx))
	return files
}

// journalTail is the end of the service's journal, nothing if this user may not read it.
func journalTail(ctx context.Context) []byte {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, "journalctl", "--unit="+systemd.Name, "--lines=2000", "--output=short-iso", "--no-pager", "--quiet").Output()
	if err != nil {
		return nil
	}
	return text
}

// localSecrets are the secrets that this command can read without the store.
func (a *app) localSecrets(cfg *config.Config, key sdk.Secret) map[string]keystore.Secret {
	secrets := map[string]keystore.Secret{}
	if !key.IsZero() {
		secrets["the API key"] = keystore.NewSecret(key.Reveal())
	}
	if cfg == nil {
		return secrets
	}
	fromFile := func(name, path string) {
		if path == "" {
			return
		}
		if raw, err := keystore.ReadSecretFile(path); err == nil {
			secrets[name] = keystore.NewSecret(trimLineEnd(raw))
			clear(raw)
		}
	}
	fromFile("the passphrase", cfg.Keystore.PassphraseFile)
	for _, m := range cfg.Machines {
		for _, e := range m.Endpoints {
			fromFile("the token of endpoint "+e.ProviderKey, e.AuthTokenFile)
		}
	}
	return secrets
}

// trimLineEnd is a text without the line end that an editor adds.
func trimLineEnd(text []byte) []byte {
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	return text
}

// identifying lists the known values that identify this device, by their kind.
func (a *app) identifying(facts doctor.Facts) map[string]string {
	known := map[string]string{}
	if name, err := os.Hostname(); err == nil {
		known[name] = "host"
	}
	env := environment(a.env)
	for _, name := range []string{"USER", "SUDO_USER"} {
		if user := env[name]; user != "root" {
			known[user] = "user"
		}
	}
	host := func(text string) {
		if u, err := url.Parse(text); err == nil {
			known[u.Hostname()] = "host"
		}
	}
	if facts.Config != nil {
		host(facts.Config.Orchestrator.URL)
		if facts.Config.Presence.Enabled {
			host(facts.Config.Presence.URL)
		}
		host("//" + facts.Reach.Proxy)
		for _, m := range facts.Config.Machines {
			known[m.ID], known[m.AgentLabel], known[m.IdentityRef] = "machine", "label", "identity"
			known[m.Register.DisplayName], known[m.Register.OwnerID] = "label", "owner"
			for _, e := range m.Endpoints {
				host(e.BaseURL)
				host(e.ProbeURL)
			}
		}
	}
	if facts.View != nil {
		for _, m := range facts.View.Machines {
			known[m.MachineID], known[m.AgentID], known[m.IdentityRef] = "machine", "agent", "identity"
		}
	}
	return known
}
