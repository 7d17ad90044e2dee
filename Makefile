# Every way into the project. `make` alone lists them. What stands on make's command line (STORE=s3://bucket/prefix) reaches the
# scripts as an environment variable.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/vb/target
PREFIX ?= /usr/local
# The tests' python is before the machine's, which lacks what it has. cron's PATH is short: what is installed is found all the same.
export PATH := $(CARGO_TARGET_DIR)/release:$(HOME)/.cache/vb/python/bin:$(PATH):$(PREFIX)/bin:$(HOME)/.cache/vb/node/node_modules/.bin
# Tests wait for servers half of their time.
export RUST_TEST_THREADS ?= 3
CHAOS_SECONDS ?= 7200

COMMANDS = $(notdir $(wildcard bin/*))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build test chaos torture conformance fuzz check lint fence demo bench backup incremental restore backup-database restore-database verify install env-example clean

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | expand -t 18

# Clones share one target folder for what they build of other people's crates. Of ours, cargo would take another clone's for its own
# where only the age of files tells them apart.
.PHONY: ours
ours:
	@test "$$(cat "$(CARGO_TARGET_DIR)/clone" 2>&1)" = "$(CURDIR)" || { mkdir -p "$(CARGO_TARGET_DIR)" && \
	  find Cargo.toml bin lib tests -type f -exec touch {} + && echo "$(CURDIR)" >"$(CARGO_TARGET_DIR)/clone"; }

# A flow needs the commands, not cargo, which cron does not find: what is built or installed is taken as it is.
.PHONY: ready built
ready:
	@for command in $(COMMANDS); do command -v "$$command" >/dev/null || exec $(MAKE) build; done

built:
	@for command in $(COMMANDS); do test -x "$(CARGO_TARGET_DIR)/release/$$command" || exec $(MAKE) build; done

setup: ## install what the tests need and the machine lacks
	@scripts/setup test

build: ours ## build all commands
	cargo build --release --workspace

check: ours ## check that everything compiles, quickly
	cargo check --release --workspace --all-targets

lint: ours ## check format and style
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

fence: ours ## check that no command contains what it must not
	cargo test --release --package vb-tests --test fence

test: setup build lint ## run all tests, against real servers
	cargo test --release --workspace --no-fail-fast

chaos: setup build ## kill stages and break requests at random: 1000 backups on each store within CHAOS_SECONDS (7200) each, 200 restores
	VB_CHAOS_SECONDS=$(CHAOS_SECONDS) cargo test --release --package vb-tests --test chaos
	VB_SOAK_ROUNDS=200 cargo test --release --package vb-tests --test soak

torture: setup build ## twenty incrementals beside eight writers for a minute and a half, some killed, restored and compared
	VB_TORTURE_SECONDS=90 VB_TORTURE_INCREMENTALS=20 VB_TORTURE_HOLD_SECONDS=10 cargo test --release --package vb-tests --test torture -- --nocapture

conformance: setup ours ## check every store against the contract, and write the table in the README
	VB_WRITE_CONFORMANCE=1 cargo test --release --package vb-stores --test conformance

fuzz: ours ## feed ten million damaged COPY streams and as many damaged Parquet files to the decoders
	VB_FUZZ_INPUTS=10000000 cargo test --release --package vb-postgres --test fuzz -- --nocapture
	VB_FUZZ_INPUTS=10000000 cargo test --release --package vb-target --test fuzz -- --nocapture

demo: ours ## see a backup and its restore, on a throw-away server
	@scripts/setup demo
	cargo build --release --workspace
	@scripts/demo

bench: ours ## measure against pg_dump, gzip and the like
	@scripts/setup bench
	cargo build --release --workspace
	@tests/servers/postgres tests/servers/seaweedfs scripts/bench
	@tests/servers/postgres scripts/bench-exporters
	@tests/servers/postgres scripts/bench-database
	@PATH="$(HOME)/.cache/vb/peers/bin:$$PATH" tests/servers/seaweedfs scripts/bench-stores

backup: ready ## back up in full: TABLES="a b" BY=COLUMN|xmin DELETES=yes STATE=data STORE=URL
	@scripts/backup

incremental: ready ## back up what is new since the last backup: TABLES="a b" BY=COLUMN|xmin DELETES=yes EMPTY=yes STATE=data STORE=URL
	@scripts/incremental

restore: ready ## restore a backup: ID=... (the latest unless given) or AT=TIME, VB_SET=SET TABLE=NAME RANGE=DAY:DAY STORE=URL
	@scripts/restore

backup-database: ready ## back up the whole database: JOBS=2 INCREMENTAL=yes|full EMPTY=yes FORMAT=parquet|custom VB_SET=SET STATE=data STORE=URL
	@scripts/backup-database

restore-database: ready ## put a backup in the place of the database: ID=DATE|ID VB_SET=SET JOBS=2 OPTIONS="--force --disconnect --verify-only" STORE=URL
	@scripts/restore-database $(OPTIONS)

verify: ready ## read and decode a backup and what it stands on from end to end: ID=... VB_SET=SET LEVEL=0..4 STORE=URL
	@scripts/verify

install: built ## install the commands in PREFIX/bin (/usr/local), as make build has left them
	install -d $(DESTDIR)$(PREFIX)/bin
	install $(addprefix $(CARGO_TARGET_DIR)/release/,$(COMMANDS)) $(DESTDIR)$(PREFIX)/bin

env-example: build ## write .env.example from the variables that the commands declare
	@scripts/env-example

clean: ## remove what was built
	cargo clean
