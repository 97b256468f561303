# `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help build dashboard demo test test-long fuzz bench fedprox-table lint cc

# Real data sets, where they are: a folder with one folder for each.
DURE_DATA ?= $(wildcard $(CURDIR)/../shared/data)
# A Python for `make bench` in which the software to compare with is installed.
PYTHON ?=
# How long `make fuzz` takes for each target, in seconds.
FUZZ_S ?= 1200
export DURE_DATA

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: cc dashboard ## target/release/dure, with its dashboard
	cargo build --release --locked -p dure

dashboard: ## dashboard/dist, which the binary carries (Node.js 20.19 or newer; without it the binary has no dashboard)
	scripts/dashboard build

demo: build ## A federation of made-up people, trained in front of you (target/release/dure demo --chaos kills them meanwhile)
	target/release/dure demo

test: cc ## Everything that must hold, in minutes
	scripts/test

test-long: cc ## The same with many more random cases, and planted bugs that must be caught
	PROPTEST_CASES=20000 DURE_SEEDS=100000 scripts/test
	scripts/plants

fuzz: cc ## What reads input, on any bytes, FUZZ_S=1200 seconds for each target
	scripts/fuzz $(FUZZ_S)

bench: build ## Speed, memory, bytes, and recovery from deaths; PYTHON=path/to/python adds PyTorch, pfl-research and Flower
	target/release/dure bench train $(if $(PYTHON),--python $(PYTHON))
	target/release/dure bench codec $(if $(PYTHON),--python $(PYTHON))
	target/release/dure bench recover
	target/release/dure bench serve $(if $(PYTHON),--python $(PYTHON))
	target/release/dure bench simulate --task thousand $(if $(PYTHON),--python $(PYTHON))
	target/release/dure bench simulate --task population
	$(if $(DURE_DATA),target/release/dure bench simulate --data $(DURE_DATA)/fitbit $(if $(PYTHON),--python $(PYTHON)))
	$(if $(DURE_DATA),target/release/dure bench simulate --task mnist-cnn --data $(DURE_DATA)/mnist $(if $(PYTHON),--python $(PYTHON)))

fedprox-table: build ## FedAvg and FedProx with 0, 50 and 90 % stragglers on MNIST, beside the published figures and a NumPy reference
	target/release/dure bench table fedprox

# Rust links with a C compiler, and zstd is written in C.
cc:
	@command -v cc >/dev/null || { apt-get update && apt-get install -y gcc libc6-dev; }

lint: cc ## Format and clippy, no warning allowed
	cargo fmt --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
