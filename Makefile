# taillab: `make` prints this list.

GO      ?= go
SECONDS ?= 10
# NVIDIA's header marks calls deprecated that nobody here makes.
export CGO_CFLAGS ?= -g -O2 -Wno-deprecated-declarations
RACED   = ./policies/flow ./realrun/... ./cmd/taillab/... ./reports ./workloads

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n "s/^\([a-z-]*\):.*\#\# .*/\1/p" $(MAKEFILE_LIST))

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

build: ## the program, in bin/taillab
	$(GO) build -o bin/taillab ./cmd/taillab

demo: ## the demo scenario: table, gates and one HTML page below runs/
	$(GO) run ./cmd/taillab run wechat-jiq

live-demo: ## the same policies driven for real, against emulated backends on this machine (45 s)
	$(GO) run ./cmd/taillab run live-demo --live emulator

gpu-validate: ## the simulator held against the example servers in examples/gpu: on a GPU with PyTorch, else as far as it goes
	@examples/gpu/validate.sh

test: ## go vet and every test
	$(GO) vet ./...
	$(GO) test ./...

race: ## the packages that start goroutines, and what they call, under the race detector
	$(GO) test -race $(RACED)

fuzz-short: ## every fuzz test for SECONDS (10) each
	@.ci/fuzz $(SECONDS)

bench: ## benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchmem ./policies/... ./sim/... ./workloads ./reports

bench-limit: ## kernel and whole path against a speed limit in C, in turns (some minutes; N=10,100 for fewer)
	$(GO) run ./cmd/taillab/internal/limit $(if $(N),-n $(N))

lint: ## formatting and vet; golangci-lint where it is installed
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "golangci-lint is not installed: skipped"; fi

live-bench: ## how true, late and dear the live driver is, beside peers that are installed (6 min on a quiet machine)
	@$(GO) build -o bin/livebench ./realrun/livebench && bin/livebench

determinism: ## the demo with 1, 2 and 5 parallel runs: every hash must be equal
	@set -e; d=$$(mktemp -d); trap 'rm -rf "$$d"' EXIT; $(GO) build -o $$d/taillab ./cmd/taillab; \
	for j in 1 2 5; do $$d/taillab run wechat-jiq -q -j $$j -o $$d/runs --seeds 2 --set measure.requests=5000 --format json=$$d/$$j.json >/dev/null || test $$? -eq 1; \
	grep _hash $$d/$$j.json > $$d/$$j; test -s $$d/$$j; done; \
	diff $$d/1 $$d/2; diff $$d/1 $$d/5; echo "$$(grep -c result_hash $$d/1) result hashes, identical with 1, 2 and 5 jobs"

scenarios: ## check every scenario that ships with the program or its examples
	$(GO) run ./cmd/taillab check $$($(GO) run ./cmd/taillab list scenarios | sed 's/ .*//' | grep -vx trace) # trace needs a file
	$(GO) run ./examples/policy check examples/policy/study.yaml

GATED = few-replicas many-gateways stale-herd fast-failing-replica amnesia-churn cold-start global-slowdown-hedge tidal-idle batching azure-conv wechat-jiq quota-frontier quota-topology quota-fairness quota-shards gpu-units lock-stall rolling-bad-build

gate: ## our own gates: results against baselines/, and what the shipped scenarios claim
	@set -e; d=$$(mktemp -d); trap 'rm -rf "$$d"' EXIT; $(GO) build -o $$d/taillab ./cmd/taillab; \
	$$d/taillab run testdata/gates/*.yaml $(GATED) --strict --ui none -o $$d/runs --format md=$$d/{scenario}.md || { code=$$?; cat /dev/null $$(grep -sL '^## .*: passed$$' $$d/*.md); exit $$code; }; \
	echo "every gate of $$(ls $$d/*.md | wc -l) scenarios passed"

baselines: ## accept the present results as baselines/; read the diff before you commit it
	$(GO) run ./cmd/taillab run testdata/gates/*.yaml --update-baseline --force --ui plain

intervals: ## how often intervals hold the truth: rewrite the table in docs/validation.md (some minutes)
	INTERVALS=1 $(GO) test ./reports -run TestCoverageDocument -timeout 60m

verify: ## the simulator held against queueing theory, all cases (1 min on 2 free cores)
	$(GO) run ./cmd/taillab verify

verify-quick: ## the same on a smaller grid (3 s)
	$(GO) run ./cmd/taillab verify --quick

validation: ## rewrite the part of docs/validation.md that verify computes (2 min)
	VALIDATION=1 $(GO) test ./cmd/taillab/internal/verify -run TestValidationDocument -count 1

quota-live: ## limiters on seven real redis-servers against the simulator, then with a server that dies: rewrite the tables of docs/quota-live.md (9 min on a quiet machine)
	QUOTA_LIVE=1 $(GO) test ./cmd/taillab/app -run TestQuotaLive -v -count 1 -timeout 30m

quota-tables: ## known answers of limiters, dividers and placements, then what limiters cost (30 s)
	$(GO) test -count 1 -v ./policies/quota ./policies/share -run '^Test(GCRA|Token|Concurrency|Lease|Leaky|Sliding|Fixed|Group|Moved|Imbalance|Divide|FCFS|Fill)' | grep -v '^=== '
	$(GO) run ./cmd/taillab run quota-frontier --ui none

golden-update: ## rewrite golden files; read the diff before you commit it
	$(GO) test ./scenarios ./reports/chart ./reports/render -update
	UPDATE=1 $(GO) test .

reference: ## rewrite docs/scenario.md, docs/targets.md, docs/policies.md and scenarios/scenario.schema.json from the program
	$(GO) test ./scenarios -run TestSchemaFile -update
	UPDATE=1 $(GO) test . -run TestReference

page: ## the HTML pages in a headless Chromium: both themes, 320 to 1200 px, operated; skipped where there is none
	@.ci/page

ci: ## everything that CI checks
	.ci/run
