# Everything one does with this repository; `make` alone explains.
# Nothing here needs root or a tool installed by hand, `check` apart.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build demo test lint venv check faults bench cross size fmt

cache   := $(CURDIR)/.cache
version := $(shell git describe --tags --always --dirty 2>/dev/null || cat VERSION 2>/dev/null || echo dev)
# What keeps the released binary below 16 MB: no inlining (1.4 MB, which a daemon that
# beats twice a minute does not miss), no HTTP/2 (0.5 MB, nothing here speaks it),
# functions less widely aligned (0.4 MB).
small   := -trimpath -gcflags=all=-l -tags=nethttpomithttp2
ldflags := -s -w -funcalign=8 -X main.version=$(version)
release := CGO_ENABLED=0 go build $(small) -ldflags "$(ldflags)"
gofiles  = $(shell find . -name '*.go' -not -path './.*' -not -path './bin/*')

# name=GOOS/GOARCH/GOARM of everything that is released.
targets := armv6=linux/arm/6 armv7=linux/arm/7 arm64=linux/arm64/ amd64=linux/amd64/ 386=linux/386/ riscv64=linux/riscv64/

export PEAQOS_TEST_VENV := $(cache)/venv

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-6s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## Build bin/peaqos-agent for this machine, static and stripped
	@$(release) -o bin/peaqos-agent ./cmd/peaqos-agent
	@echo "bin/peaqos-agent $(version), $$(stat -c %s bin/peaqos-agent) bytes"

demo: build ## See the whole job done, offline, in under a minute; leaves nothing behind
	@bin/peaqos-agent demo

test: lint venv ## Run every check that needs no root: linters, import arrows, all tests, the real Python SDK
	@check/go-tests.sh

lint: $(cache)/tools/.ready ## Run go vet, staticcheck and gofumpt
	go vet ./...
	$(cache)/tools/staticcheck ./...
	@unformatted=$$($(cache)/tools/gofumpt -l $(gofiles)); if [ -n "$$unformatted" ]; then echo "not formatted (make fmt mends it):"; echo "$$unformatted"; exit 1; fi

venv: ## Make the virtual environment with the real Python SDK, once
	@check/realclient/venv.sh >/dev/null

check: cross ## Run the wider circle: booted systemd, ARM, QVAC, Prometheus, browser, container, short fault table (root may apt-get install)
	@check/all.sh

faults: ## Break the agent in every way of its fault table and print the table (root for all rows; about 20 minutes)
	@check/faults.sh whole

bench: venv ## Compare with the Python SDK and a bare floor in one run, then run every benchmark
	@CGO_ENABLED=0 go build -o $(cache)/bench/ ./check/bench ./check/bench/turn ./check/bench/sign
	@$(cache)/bench/bench -bin $(cache)/bench -python "$$(check/realclient/venv.sh)"
	go test -run '^$$' -bench . -benchmem ./...

cross: ## Build for armv6, armv7, arm64, amd64, 386 and riscv64 into bin/
	@for target in $(targets); do \
	  IFS='=/' read -r name os arch arm <<<"$$target"; \
	  GOOS=$$os GOARCH=$$arch GOARM=$$arm $(release) -o bin/peaqos-agent-$$os-$$name ./cmd/peaqos-agent; \
	done
	@cd tools && go run ./sizes -static ../bin/peaqos-agent-*

size: ## Print what each part of the binary costs, and hold the limit of 16 MB
	@cd tools && GOFLAGS="$(small)" go run ./sizes -limit 16000000 -version "$(version)" ..

fmt: $(cache)/tools/.ready ## Format all Go files
	@$(cache)/tools/gofumpt -w $(gofiles)

# The linters, at the versions that tools/go.mod pins.
$(cache)/tools/.ready: tools/go.mod
	@mkdir -p $(@D)
	@cd tools && GOBIN=$(@D) go install tool
	@touch $@
