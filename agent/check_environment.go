package agent

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/telemetry"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// CheckEnvironment looks at what a configuration needs outside of itself: the files that
// it names and the proxy variables. It makes no connection. A file that cannot be used
// now is a warning, because it may be on a volume that is mounted later; a variable that
// cannot be used is an error (status.CodeProxyVariable), because only another start
// changes it.
func CheckEnvironment(cfg *config.Config) (warnings []status.Problem, err error) {
	warn := func(code status.Code, text, next string) {
		p := status.NewProblem(code, "")
		if p.Message = text; next != "" {
			p.Next = next
		}
		warnings = append(warnings, *p)
	}
	u, err := url.Parse(cfg.Orchestrator.URL)
	if err != nil {
		return nil, err
	}
	transport := newTransport(cfg, zap.NewNop())
	if err := transport.CheckFiles(); err != nil && !errors.Is(err, os.ErrPermission) {
		warn(judge(err, time.Now()).cause.Code, status.SanitizeTo(err.Error(), 400)+"; nothing is sent until it can be used", "")
	}
	for i, m := range cfg.Machines {
		for j, e := range m.Endpoints {
			if e.CAFile == "" {
				continue
			}
			if _, err := connect.NewRootsFile(e.CAFile).Pool(); err != nil && !errors.Is(err, os.ErrPermission) {
				key := fmt.Sprintf("machines[%d].endpoints[%d].ca_file", i, j)
				fault := &connect.FileError{Key: key, Path: e.CAFile, Err: err}
				warn(status.CodeEndpointDown, status.SanitizeTo(fault.Error(), 400)+"; the endpoint is not published until it can be used", "")
			}
		}
	}
	if path := cfg.Telemetry.WebConfigFile; path != "" {
		if err := telemetry.CheckWebConfig(path); err != nil && !errors.Is(err, os.ErrPermission) {
			warn(status.CodeTelemetryWebConfig, "telemetry.web_config_file: "+status.SanitizeTo(err.Error(), 400)+"; there is no listener until it can be used", "")
		}
	}
	secrets := [][2]string{{"keystore.passphrase_file", cfg.Keystore.PassphraseFile}}
	for i, m := range cfg.Machines {
		for j, e := range m.Endpoints {
			secrets = append(secrets, [2]string{fmt.Sprintf("machines[%d].endpoints[%d].auth_token_file", i, j), e.AuthTokenFile})
		}
	}
	for _, s := range secrets {
		if fault := secretFileFault(s[1]); fault != nil {
			warn(status.CodeSecretFile, s[0]+" cannot be used: "+status.SanitizeTo(fault.Error(), 400), secretFileNext(fault))
		}
	}
	if cfg.Keystore.Dir != "" {
		if info, err := os.Stat(cfg.Keystore.Dir); err == nil && !info.IsDir() {
			warn(status.CodeStoreUnusable, "keystore.dir "+cfg.Keystore.Dir+" is not a directory", "")
		}
	}
	if connect.ReadProxies(u.Scheme, os.Getenv).OnlyAll && !config.IsLoopbackHost(u.Hostname()) {
		warn(status.CodeProxyVariable, "ALL_PROXY is set, but only HTTPS_PROXY and HTTP_PROXY are used: requests to the orchestrator do not use a proxy", "")
	}
	if err := transport.Check(u); err != nil {
		var variable *connect.ProxyError
		if errors.As(err, &variable) {
			return warnings, judge(err, time.Now()).cause.Problem().Wrap(err)
		}
	}
	return warnings, nil
}

// secretFileFault is why a secret file cannot be used, nil when it can or when this user
// may not look.
func secretFileFault(path string) *keystore.SecretFileError {
	if path == "" {
		return nil
	}
	secret, err := keystore.ReadSecretFile(path)
	clear(secret)
	var fault *keystore.SecretFileError
	if err == nil || errors.Is(err, os.ErrPermission) || !errors.As(err, &fault) || fault.Problem == keystore.FileNotPermitted {
		return nil
	}
	return fault
}
