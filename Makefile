# Python is all that is needed; `make help` lists the targets.
# Extra arguments go in ARGS: make test ARGS="-k places"

VENV := .venv
BIN := $(VENV)/bin
# A lock names everything, so pip has nothing to resolve; without --no-deps it tries for several seconds.
INSTALL := -m pip --disable-pip-version-check install -qq --no-deps
JAVA_FLOOR := 17

# The programs of a virtual environment name its folder, so after a move they start nothing: make it again,
# unless it is a link, which somebody made on purpose.
ifneq ($(wildcard $(BIN)/pushreg),)
ifeq ($(shell { [ -L $(VENV) ] || grep -qF "$(abspath $(BIN))/python" $(BIN)/pushreg; } && echo here),)
$(info This folder was moved: making $(VENV) again)
$(shell rm -rf $(VENV) $(VENV)-*)
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test quick bench test-ahead test-sam test-browser fuzz test-schema soak check check-template check-workflows fix \
  build deploy sbom audit engine-version lock clean java

help: ## Show this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  %-15s %s\n", $$1, $$2 }'

run: $(VENV)/.project $(if $(filter memory http%,$(STORE)),,java) ## Serve the API on this machine (PORT, DYNAMODB_PORT, STORE)
	@exec $(BIN)/pushreg local $(if $(PORT),--port $(PORT)) $(if $(DYNAMODB_PORT),--dynamodb-port $(DYNAMODB_PORT)) \
	  $(if $(STORE),--store $(STORE)) $(ARGS)

# A later -n in ARGS goes before this one. CI, where a skipped test is a failure, needs what some tests do without: cfn-lint.
test: $(VENV)/.project $(VENV)/.test $(if $(CI),$(VENV)/.dev) java ## Run the tests on all cores (ARGS goes to pytest)
	@echo "All tests take ten minutes or more on two cores; make quick takes one."
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

quick: $(VENV)/.project $(VENV)/.test ## Run the tests that need no engine, in under a minute
	@$(BIN)/python -m pytest -q -n 2 -m "not (engine or docker or browser or slow)" tests/unit tests/meta tests/functional $(ARGS)

# Only reading the clock may be changed: as packaged the library converts sleeps and timed waits too, and Java hangs.
CLOCK := $(VENV)-clock/libfaketimeMT.so.1
$(CLOCK): $(VENV)-clock/.installed
	@cd $(@D)/lib/python3*/site-packages/libfaketime/vendor/libfaketime/src && \
	$(CC) -shared -std=gnu99 -fPIC -O2 -DFAKE_INTERNAL_CALLS -DPTHREAD_SINGLETHREADED_TIME -DPREFIX='"/usr"' -DLIBDIRNAME='"/lib"' \
	  -Wl,--version-script=libfaketime.map -o $(abspath $@) libfaketime.c -ldl -lm -lrt -lpthread

test-ahead: $(VENV)/.project $(VENV)/.test $(CLOCK) java ## Run the functional tests with the clock a year ahead (Linux, needs a C compiler)
	@FAKETIME=+365d DONT_FAKE_MONOTONIC=1 LD_PRELOAD=$(abspath $(CLOCK)) \
	  $(BIN)/python -m pytest -n auto --dist worksteal -m "not (docker or browser)" tests/functional $(ARGS)

test-sam: $(VENV)/.project $(VENV)/.test $(VENV)-sam/.installed java ## Run the tests of the built functions in Docker
	@$(BIN)/python -m pytest -m docker tests/e2e/sam $(ARGS)

test-browser: $(VENV)/.project $(VENV)/.test $(VENV)/.browser ## Run the tests of the documentation page and the console in Chromium
	@$(BIN)/python -m pytest -m browser tests/e2e $(ARGS)

FUZZ_TARGETS := json xml kazoo engagement modern places senders token
fuzz: $(VENV)/.project $(VENV)/.test $(VENV)/.fuzz ## Fuzz the codecs and the families, each for SECONDS (600); findings are kept in .fuzz
	@for target in $(or $(TARGETS),$(FUZZ_TARGETS)); do \
	  echo "== $$target"; \
	  $(BIN)/python -m fuzz.run $$target .fuzz -max_total_time=$(or $(SECONDS),600) -verbosity=0 -print_final_stats=1 $(ARGS) || exit 1; \
	done

test-schema: $(VENV)/.project $(VENV)/.test $(VENV)-schemathesis/.installed java ## Send EXAMPLES (2000) valid and invalid requests to each operation of docs/openapi.yaml
	@$(BIN)/python -m fuzz.schema --tool $(VENV)-schemathesis/bin/schemathesis --examples $(or $(EXAMPLES),2000) $(ARGS)

soak: $(VENV)/.project $(VENV)/.test java ## Load the local stack for SECONDS (300) and look for leaks, errors and broken invariants
	@$(BIN)/python -m bench.soak --seconds $(or $(SECONDS),300) $(ARGS)

check: $(VENV)/.project $(VENV)/.dev ## Check format, lint, types, template and import rule; changes nothing
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/cfn-lint template.yaml docs/samples/*.yaml docs/samples/*/template.yaml
	@$(BIN)/python -m pytest -q tests/meta/test_layers.py
	@$(BIN)/python -m pip check

check-template: $(VENV)-sam/.installed $(VENV)-checkov/.installed ## Validate the template with SAM, cfn-lint and checkov
	@$(SAM) validate --lint --region us-east-1
	@$(VENV)-checkov/bin/checkov

check-workflows: $(VENV)-workflows/.installed ## Validate the workflows of GitHub Actions: schema, permissions, pinned actions
	@$(VENV)-workflows/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(VENV)-workflows/bin/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(VENV)-workflows/bin/zizmor --quiet --offline --no-progress .github

fix: $(VENV)/.dev ## Format the code and apply the fixes of the linter
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# Sections of samconfig.toml: default is for development.
STAGE := default
SAM := SAM_CLI_TELEMETRY=0 $(VENV)-sam/bin/sam

build: $(VENV)/.project $(VENV)-sam/.installed ## Build and check the deployment package (STAGE; ARGS goes to sam build)
	@$(SAM) build --config-env $(STAGE) $(ARGS)
	@$(BIN)/python -m tools.package

deploy: ## Build and deploy to AWS (STAGE; CONFIRM=no asks nothing; ARGS goes to sam deploy, BUILD_ARGS to sam build)
	@$(MAKE) --no-print-directory build STAGE=$(STAGE) ARGS='$(BUILD_ARGS)'
	@$(SAM) deploy --config-env $(STAGE) $(if $(filter no,$(CONFIRM)),--no-confirm-changeset --no-progressbar) $(ARGS)

# What is deployed: botocore and the other packages of the layers.
sbom: $(VENV)-audit/.installed ## Write sbom.json, a list of the deployed components (CycloneDX)
	@cat layers/*/requirements.txt | $(VENV)-audit/bin/cyclonedx-py requirements - --output-reproducible --output-file sbom.json

audit: $(VENV)-audit/.installed ## Look up known vulnerabilities of all locked packages (needs a network)
	@for lock in layers/*/requirements.txt requirements/*.txt $(SAMPLE)/requirements.txt; do \
	  echo "$$lock"; \
	  $(VENV)-audit/bin/pip-audit --progress-spinner off --disable-pip --require-hashes --strict --requirement $$lock || exit 1; \
	done

# On Lambda's Python and, but for the processor, from what is deployed.
LAMBDA_PYTHON ?= $(shell for python in python3.13 "$$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python3.13; do \
  "$$python" -c '' 2>/dev/null && echo "$$python" && break; done)
MACHINE := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

$(VENV)-bench/.installed: requirements/bench.txt
	@[ -n "$(LAMBDA_PYTHON)" ] || { echo "Python 3.13 is needed: put python3.13 on the PATH" >&2; exit 1; }
	@echo "Installing $<"
	@$(LAMBDA_PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python $(INSTALL) --require-hashes -r $<
	@touch $@

bench: $(VENV)/.project $(VENV)-sam/.installed $(VENV)-bench/.installed java ## Measure speed and cost, compared with other implementations (ARGS=--quick)
	@$(SAM) build --build-dir .aws-sam/bench --parameter-overrides Architecture=$(MACHINE) >/dev/null 2>&1 || \
	  { echo "sam build failed; make build tells why" >&2; exit 1; }
	@PYTHONPATH=.:layers/common:functions $(VENV)-bench/bin/python -m bench $(ARGS)

UV ?= $(VENV)-lock/bin/uv
# With the releases that its tests ran with.
SAMPLE := docs/samples/sender
# In the order of their -c lines.
LAYERS := common tokens
LOCKS := run java test browser fuzz dev sam checkov schemathesis bench clock workflows audit lock
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

lock: $(VENV)-lock/.installed ## Resolve requirements/*.in again (ARGS=--upgrade for newer releases)
	@for name in $(LAYERS); do \
	  echo "layers/$$name/requirements.txt"; \
	  $(COMPILE) $(ARGS) requirements/layer-$$name.in -o layers/$$name/requirements.txt || exit 1; \
	done
	@for name in $(LOCKS); do \
	  echo "requirements/$$name.txt"; \
	  $(COMPILE) $(ARGS) requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done
	@echo "$(SAMPLE)/requirements.txt"
	@$(COMPILE) $(ARGS) -c requirements/test.txt $(SAMPLE)/requirements.in -o $(SAMPLE)/requirements.txt

engine-version: $(VENV)/.project ## Say which DynamoDB Local is used and which is the newest (needs npm)
	@package=$$($(BIN)/python -c 'from pushreg_local.engines.bundle import NPM_PACKAGE; print(NPM_PACKAGE)'); \
	echo "DynamoDB Local: $$package is used, $$(npm view "$${package%@*}" version) is the newest."

clean: ## Remove what the other targets made, except the data in .data
	rm -rf $(VENV) $(VENV)-* sbom.json .aws-sam .bench .fuzz .schemathesis .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache htmlcov
	find layers functions ops tools tests -name __pycache__ -prune -exec rm -rf {} +

# Lambda's own version first. A name on the PATH is no proof that it runs (pyenv's shims), nor that Debian's python3-venv is there.
$(BIN)/python:
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3); do \
	  if $$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$($$python --version)"; \
	    exec $$python -m venv --clear $(VENV); \
	  fi; \
	done; \
	echo "Python 3.11 or newer with its venv module is needed; name one with PYTHON=/path/to/python3" >&2; \
	exit 1

$(VENV)/.run $(VENV)/.test $(VENV)/.browser $(VENV)/.fuzz $(VENV)/.dev: $(VENV)/.%: requirements/%.txt | $(BIN)/python
	@echo "Installing $<"
	@$(BIN)/python $(INSTALL) --require-hashes -r $<
	@touch $@

$(VENV)/.test: $(VENV)/.run
$(VENV)/.browser: $(VENV)/.test
$(VENV)/.fuzz: $(VENV)/.run
$(VENV)/.dev: $(VENV)/.test

# Tools that want other releases of our libraries than we do live apart, as in .venv-sam. They are compiled as they are
# imported: most of what they bring never is, and compiling it all takes as long as all the rest.
$(VENV)-%/.installed: requirements/%.txt | $(BIN)/python
	@echo "Installing $<"
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python $(INSTALL) --no-compile --require-hashes -r $<
	@[ $* != sam ] || ln -sf $(abspath $(@D))/bin/sam $(BIN)/sam
	@touch $@

# The project itself, in place: its folders on the path and the pushreg command.
$(VENV)/.project: pyproject.toml $(VENV)/.run
	@$(BIN)/python $(INSTALL) --no-build-isolation --editable .
	@touch $@

java: $(VENV)/.run
	@[ -e $(VENV)/.java ] || \
	[ "$$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')" -ge $(JAVA_FLOOR) ] 2>/dev/null || \
	{ echo "Installing a Java runtime"; $(BIN)/python $(INSTALL) --require-hashes -r requirements/java.txt && touch $(VENV)/.java; } || \
	echo "No Java $(JAVA_FLOOR) here, and none could be installed" >&2
