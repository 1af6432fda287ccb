# `make demo` and `make test` do all the set-up that they need; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
# What walks the options of a stack in the sandbox: a test file of new options belongs here.
IAM_TESTS := $(addprefix tests/e2e/test_,roles.py server_group_options.py network.py balancer.py rollback.py \
  shared_listener.py storage.py mixed_instances.py warm_pool.py consul.py network_balancer.py)

.PHONY: help setup demo test test-sandbox test-rollout test-bake conformance conformance-record conformance-table check bench bench-stacks bench-balancer docs iam-record iam-policies lock clean

help: ## list what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv from the lock

# uv installs from the lock in seconds; where there is none, pip fetches the one that the lock names.
# Python writes no bytecode at installation: pulumi_aws alone is 270 MB. What a program imports is compiled once, here.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or later is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12"; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { echo "error: $(PYTHON) can't make a virtual environment. On Debian: apt install python3-venv"; exit 1; }
	@awk '/^uv==/,!/\\$$/' requirements.lock > .venv/uv.lock
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r .venv/uv.lock
	@uv=$$(command -v uv || echo $(BIN)/uv); \
	  $$uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock && \
	  $$uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -W ignore -c 'import pulumi_aws as aws; aws.ec2.Vpc, aws.lb.Listener, aws.autoscaling.Group, aws.vpc.SecurityGroupIngressRule, aws.ssm.Parameter; import bluegreen.program, bluegreen.deployment, bluegreen.cli.main, bluegreen.cli.bake, bluegreen.images.bake, sandbox.cloud.api, sandbox.cloud.ssh, sandbox.engine.operation, sandbox.engine.commands, asyncssh'
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c 'import sandbox.provider.__main__'
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j 2 $$($(BIN)/python -c 'import ansible, jinja2; print(*ansible.__path__, *jinja2.__path__)')
	@touch $@

demo: setup ## rehearse a deployment: release 1, release 2 under load, a broken release 3
	@$(BIN)/python -m sandbox.rehearsal $(ARGS)

test: setup ## lint, types, and all tests but the slow suites
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest -n 2 --dist loadscope -q -m "not bake and not rollout and not conformance and not sandbox" $(ARGS)

test-sandbox: setup ## the tests of the sandbox itself: cloud, provider, engine
	@$(BIN)/pytest -n 2 --dist loadscope -q -m "sandbox and not conformance" $(ARGS)

test-rollout: setup ## the tests of rollouts in several steps, and of gates that take long
	@$(BIN)/pytest -n 2 --dist loadscope -q -m rollout $(ARGS)

test-bake: setup ## the tests that bake images, with the packer on PATH
	@$(BIN)/pytest -q -m bake $(ARGS)

conformance: setup ## put the stand-in for pulumi and the real one, where found, through the same scenarios
	@$(BIN)/pytest -n 2 --dist load -q -m conformance tests/e2e/test_both_engines.py tests/conformance $(ARGS)

conformance-record: setup ## record anew what the pulumi on PATH does in the scenarios
	@$(BIN)/python -m tests.conformance.recordings $(ARGS)

conformance-table: setup ## write docs/engines.md
	@$(BIN)/python -m tests.conformance.table

check: setup ## ruff, mypy and ansible-lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@(cd ansible && PATH="$(CURDIR)/$(BIN):$$PATH" ansible-lint --offline -q) & lint=$$!; $(BIN)/mypy && wait $$lint

bench: setup ## time a change of release against a straight boto3 script
	@$(BIN)/python -m bench.change_of_release $(ARGS)

bench-stacks: setup ## time many stacks at once against the CPU time and the waiting of one
	@$(BIN)/python -m bench.many_stacks $(ARGS)

bench-balancer: setup ## time the sandbox's load balancer against the app alone
	@$(BIN)/python -m bench.load_balancer $(ARGS)

docs: setup ## docs/commands.md, aws-behaviour.md and moto-gaps.md, and the outputs in README.md and docs/tour.md, anew
	@$(BIN)/python -m tests.docs.commands > docs/commands.md
	@$(BIN)/python -m tests.docs.behaviour > docs/aws-behaviour.md
	@$(BIN)/python -m tests.docs.moto_gaps > docs/moto-gaps.md
	@$(BIN)/python -m tests.docs.walk README.md docs/tour.md

iam-record: setup ## record anew what the verbs ask of IAM, by the tests that walk their options; then iam-policies
	@rm -rf .sandbox/iam && mkdir -p .sandbox/iam
	@BLUEGREEN_RECORD=$(CURDIR)/.sandbox/iam $(BIN)/pytest -q -n 2 --dist loadfile -k "not real" $(IAM_TESTS) $(ARGS)
	@$(BIN)/python -m sandbox.iam.recording .sandbox/iam
	@$(MAKE) --no-print-directory iam-policies

iam-policies: setup ## make the IAM policies of the verbs from what was recorded
	@$(BIN)/python -m sandbox.iam.generate

lock: ## resolve the dependencies of pyproject.toml anew
	uv pip compile pyproject.toml --universal --all-extras --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header --quiet --output-file requirements.lock

clean: ## remove what was made
	rm -rf .venv .sandbox .mypy_cache .ruff_cache .pytest_cache
