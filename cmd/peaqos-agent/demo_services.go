package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// demoServices are what --with accepts.
func demoServices() []string { return []string{"presence", "control"} }

// checkServices rejects a service that the demo does not have.
func checkServices(with []string) error {
	for _, s := range with {
		if !slices.Contains(demoServices(), s) {
			return usageProblem(fmt.Sprintf("--with accepts %s, not %.40q", strings.Join(demoServices(), " and "), s), "give one of them, or both with a comma")
		}
	}
	return nil
}

// demoHook is a local program that gets the notifications of the control socket.
type demoHook struct {
	addr   string
	server *http.Server

	mu  sync.Mutex
	got []string // bodies
}

func startDemoHook() (*demoHook, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &demoHook{addr: l.Addr().String()}
	h.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		h.mu.Lock()
		defer h.mu.Unlock()
		if err == nil {
			h.got = append(h.got, string(body))
		}
	})}
	go func() { _ = h.server.Serve(l) }()
	return h, nil
}

func (h *demoHook) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.got, func(body string) bool { return strings.Contains(body, text) })
}

// serviceConfig is the part of the configuration for the services that are shown.
func (d *demo) serviceConfig(orchestrator string) (string, error) {
	text := ""
	if slices.Contains(d.with, "presence") {
		text += fmt.Sprintf("presence: {enabled: true, url: %q, interval: 5s}\n", orchestrator)
	}
	if slices.Contains(d.with, "control") {
		var err error
		if d.hook, err = startDemoHook(); err != nil {
			return "", err
		}
		text += fmt.Sprintf("control: {enabled: true, hooks: [%q]}\n", "http://"+d.hook.addr+"/notify")
	}
	return text, nil
}

// presence stores the controller key on the device, opts the machine in, and waits until
// the presence service lists it as online.
func (d *demo) presence(ctx context.Context) error {
	if !slices.Contains(d.with, "presence") {
		return nil
	}
	key, err := d.app.controllerKey(filepath.Join(d.dir, "controller.hex"), "")
	if err != nil {
		return err
	}
	defer key.Wipe()
	if _, err := withOwner(ctx, d.cfg, func(o owner) (string, error) { return o.PutController(ctx, key) }); err != nil {
		return err
	}
	deployment, err := sdk.LookupDeployment(sdk.DefaultDeployment)
	if err != nil {
		return err
	}
	number, err := sdk.MachineNumber(demoIdentity)
	if err != nil {
		return err
	}
	service, err := agent.NewPresenceService(d.cfg, version, deployment, d.cfg.Presence.URL, number)
	if err != nil {
		return err
	}
	state, err := service.SetOptIn(ctx, true, func(ctx context.Context, message []byte) (string, error) {
		return withOwner(ctx, d.cfg, func(o owner) (string, error) { return o.SignOptIn(ctx, "", message) })
	})
	if err != nil {
		return err
	}
	if err := d.until(ctx, "the machine to be online", func() (bool, error) { return d.server.Online(demoIdentity), d.child.dead() }); err != nil {
		return err
	}
	d.report("presence", "controller key stored, machine %s; the presence service lists it as online for 180 s after each push", state.Status)
	return nil
}

// control waits for the control socket, and shows that a notification reaches the hook.
func (d *demo) control(ctx context.Context) error {
	if !slices.Contains(d.with, "control") {
		return nil
	}
	began := time.Now()
	for attempt := 0; ; attempt++ { // an agent connects at its own time, up to 30 s after its start
		err := d.until(ctx, "a notification to reach the hook", func() (bool, error) {
			if d.server.Notify(d.first.MachineID, "purchase.created", map[string]any{"purchaseId": "purchase_demo"}) == 0 {
				return false, d.child.dead()
			}
			return d.hook.has("purchase_demo"), d.child.dead()
		})
		if err == nil {
			break
		}
		if attempt > 0 || ctx.Err() != nil {
			return err
		}
	}
	d.report("control", "the control socket opened after %.1f s; a notification reached the hook at http://%s/notify", time.Since(began).Seconds(), d.hook.addr)
	return nil
}
