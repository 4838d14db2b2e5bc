# What can be done with this repository; `make` alone lists it.
# Nothing needs root or a tool installed by hand, except `check` and `faults`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build demo test lint venv fuzz-differential check faults nettable bench cross image board release size vuln generate picture fmt check-kubernetes kubernetes-manifests

# Relative, as a target cannot have a blank in its path.
cache := .cache

# The version is the SDK's; a build that is not at its tag adds the commit.
semver   := $(shell sed -n 's/^const Version = "\(.*\)"$$/\1/p' sdk/*.go)
attag    := $(filter v$(semver),$(shell git describe --tags --match 'v$(semver)' --dirty 2>/dev/null))
commit   := $(shell git describe --always --exclude '*' --dirty 2>/dev/null)
version  := $(semver)$(if $(attag),,$(addprefix +g,$(commit)))

# The flags of every build: what is tested and benchmarked is what is released.
# check/lab reads these two lines, so that the tests build with the same flags.
buildflags := -trimpath
ldflags    := -s -w
release    := CGO_ENABLED=0 go build $(buildflags) -ldflags "$(ldflags) -X main.version=$(version)"

# name=GOOS/GOARCH/GOARM of everything that is released, and the largest size of each, in bytes.
targets := armv6=linux/arm/6 armv7=linux/arm/7 arm64=linux/arm64/ amd64=linux/amd64/ 386=linux/386/ riscv64=linux/riscv64/
# The newest Go builds 21.2 MB on amd64, 0.5 MB more than Go 1.26.
limit   := 21500000
out     := bin

# make release builds with the newest patched Go, whatever is installed here.
toolchain := go1.27.3

# board=name of the target that runs on it; 64-bit systems where the board has the choice.
boards := pi-zero=armv6 pi-zero-w=armv6 pi-1=armv6 pi-2=armv7 pi-zero-2w=arm64 pi-3=arm64 pi-4=arm64 pi-5=arm64 \
  jetson=arm64 rock-5=arm64 beaglebone=armv7 visionfive-2=riscv64 pc=amd64 pc-32=386

gofiles = $(shell find . -name '*.go' -not -path './.*' -not -path './bin/*')

export PEAQOS_TEST_VENV := $(CURDIR)/$(cache)/venv

help: ## Describe each target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## Build bin/peaqos-agent for this machine, static and stripped
	@start=$$SECONDS; echo "building bin/peaqos-agent $(version)"; \
	$(release) -o bin/peaqos-agent ./cmd/peaqos-agent; \
	echo "built bin/peaqos-agent, $$(stat -c %s bin/peaqos-agent) bytes, in $$((SECONDS - start)) s"

demo: build ## Show the agent at work, offline, in under a minute; leaves nothing behind
	@bin/peaqos-agent demo

test: ## Run every check that needs no root: linters, import rules, all tests, the real Python SDK
	@check/test.sh

lint: $(cache)/tools/.ready ## Run go vet, staticcheck and gofumpt
	@go vet -tags realclient ./...
	@$(cache)/tools/staticcheck -tags realclient ./...
	@unformatted=$$($(cache)/tools/gofumpt -l $(gofiles)); \
	if [ -n "$$unformatted" ]; then echo "not formatted (run make fmt):"; echo "$$unformatted"; exit 1; fi

venv: ## Make the virtual environment with the real Python SDK, once
	@check/realclient/venv.sh >/dev/null

fuzz-differential: venv ## Change recorded responses at random and compare our decoders with the Python SDK's (MINUTES=1)
	@go run ./check/differential -python "$$(check/realclient/venv.sh)" -minutes $(or $(MINUTES),1)

check: cross ## Run the larger checks, on systemd, ARM, QVAC and others (CHECK_INSTALL=1 lets root install Debian packages)
	@check/all.sh

faults: ## Break the agent in every way of the fault table and print the table (root for all rows; about half an hour)
	@check/faults.sh whole

check-kubernetes: ## Install the Helm chart and the plain manifests on a real Kubernetes, which is built once (root)
	@check/kubernetes.sh

kubernetes-manifests: ## Write the plain manifests of deploy/kubernetes from the chart (gets helm)
	@check/kubernetes/build.sh helm >/dev/null
	@HELM="$(CURDIR)/$(cache)/kubernetes/helm" deploy/kubernetes/render.sh

nettable: ## Break the network in every way of the network table, print it, measure bytes, and try real gateways (root; about 9 minutes)
	@check/network-table.sh
	@check/network-wire.sh
	@check/network-gateways.sh

bench: build venv ## Compare with the Python SDK and a bare floor in one run, at work and at rest, then run every benchmark
	@CGO_ENABLED=0 go build $(buildflags) -ldflags "$(ldflags)" -o $(cache)/bench/ ./check/bench ./check/bench/client ./check/bench/sign ./check/bench/atrest ./check/bench/atrest/floor
	@$(cache)/bench/bench -bin "$(CURDIR)/$(cache)/bench" -python "$$(check/realclient/venv.sh)"
	@$(cache)/bench/atrest -agent bin/peaqos-agent -floor "$(CURDIR)/$(cache)/bench/floor" -python "$$(check/realclient/venv.sh)"
	CGO_ENABLED=0 go test $(buildflags) -run '^$$' -bench . -benchmem ./...

cross: $(cache)/tools/sizes ## Build for armv6, armv7, arm64, amd64, 386 and riscv64 into bin/, each at most 21.5 MB
	@for target in $(targets); do \
	  IFS='=/' read -r name os arch arm <<<"$$target"; \
	  GOOS=$$os GOARCH=$$arch GOARM=$$arm $(release) -o "$(out)/peaqos-agent-$$os-$$name" ./cmd/peaqos-agent; \
	  $(cache)/tools/sizes -static -limit $(limit) "$(out)/peaqos-agent-$$os-$$name"; \
	done

image ?= bin/image
image: cross ## Write the container image of all targets as an OCI layout, bin/image, and as one file, bin/image.tar
	@for target in $(targets); do \
	  IFS='=/' read -r name os arch arm <<<"$$target"; \
	  set -- "$$@" "$$arch$${arm:+/v$$arm}=$(out)/peaqos-agent-$$os-$$name"; \
	done; \
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 0)} \
	python3 deploy/container/image.py --out $(image) --version $(version) --revision "$(commit)" --tag localhost/peaqos-agent:$(semver) "$$@"

board: ## Build the one file for a board into bin/: make board BOARD=pi-zero
	@target=$(patsubst $(BOARD)=%,%,$(filter $(BOARD)=%,$(boards))); \
	if [ -z "$$target" ]; then echo "BOARD is one of: $(foreach b,$(boards),$(firstword $(subst =, ,$(b))))"; exit 1; fi; \
	echo "building bin/peaqos-agent-linux-$$target; the first time this takes a minute"; \
	$(MAKE) -s cross targets="$(filter $(patsubst $(BOARD)=%,%,$(filter $(BOARD)=%,$(boards)))=%,$(targets))"

release: ## Build everything that is released into bin/release, with the newest Go (RELEASE_KEY=FILE signs it)
	@VERSION="$(version)" TARGETS="$(targets)" BUILDFLAGS="$(buildflags)" LDFLAGS="$(ldflags)" TOOLCHAIN=$(toolchain) \
	  RELEASE_KEY="$(RELEASE_KEY)" tools/release.sh bin/release

size: cross ## Print what each part of the binary costs; every target must stay within 21.5 MB
	@$(cache)/tools/sizes -limit $(limit) -buildflags "$(buildflags)" -ldflags "$(ldflags)" -version "$(version)" .

vuln: ## Report known vulnerabilities in the code that is called, with the Go of releases (TOOLCHAIN=local: yours)
	@check/vuln.sh

generate: ## Write the generated files again: ENDPOINTS.md, agent.yaml and its schema, metrics and status
	@for dir in $$(grep -rlE --include='*_test.go' 'flag.Bool\("update"|/peaqos-agent/internal/golden"' . | xargs -n 1 dirname | sort -u); do \
	  echo "go test $$dir -update"; \
	  go test "$$dir" -run 'TestDocs|TestEndpointsDocument' -update >/dev/null; \
	  go test "$$dir" -update; \
	done

picture: build ## Draw docs/demo.svg, the picture in the README, from a run of the demo
	@bin/peaqos-agent demo >$(cache)/demo.txt
	@cd tools && go run ./picture -title "make demo" <../$(cache)/demo.txt >../docs/demo.svg

fmt: $(cache)/tools/.ready ## Format all Go files
	@$(cache)/tools/gofumpt -w $(gofiles)

# The linters, at the versions that tools/go.mod pins.
$(cache)/tools/.ready: tools/go.mod
	@mkdir -p $(@D)
	@cd tools && GOBIN="$(CURDIR)/$(@D)" go install tool
	@touch $@

$(cache)/tools/sizes: $(wildcard tools/sizes/*.go)
	@mkdir -p $(@D)
	@cd tools && go build -o "$(CURDIR)/$@" ./sizes
