# Headwater. `make help` lists the targets; README.md names the two that matter.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GOLANGCI_LINT_VERSION := v2.15.0
VERSITYGW_VERSION := v1.8.0
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c
# Inputs and not seconds: how much is tried must not depend on the machine, and
# go test -fuzz can fail by its own deadline when it is given a time.
FUZZTIME ?= 100000x
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/headwater
	go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/headwater ./cmd/headwater

.PHONY: demo
demo: ## a live channel on a server of its own, with a player
	go run ./cmd/headwater demo

.PHONY: test
test: tools lint unit fuzz e2e ## everything: install what is needed, lint, every test

.PHONY: tools
tools: ## install the clients, browser, S3 server and linter that the tests use
	scripts/install-tools $(GOLANGCI_LINT_VERSION) $(VERSITYGW_VERSION)

.PHONY: lint
lint: ## vet and lint
	go vet ./...
	bin/golangci-lint run

.PHONY: unit
unit: ## the tests beside the code, with the race detector
	go test -race ./internal/... ./cmd/... ./bench/...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (100000 inputs, some seconds)
	scripts/fuzz $(FUZZTIME)

.PHONY: e2e
e2e: ## the real binary with the real clients
	go test -count=1 -timeout 20m ./e2e/...

.PHONY: peers
peers: ## install the servers that the benchmarks compare with
	scripts/install-peers $(MINIO_VERSION) $(VERSITYGW_VERSION)

.PHONY: bench
bench: build ## measure Headwater beside its peers and write docs/performance.md
	go run ./bench/table -o docs/performance.md

.PHONY: demo-channel
demo-channel: ## generate the bundled demo channel anew (needs ffmpeg)
	internal/demo/generate.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf bin tmp
