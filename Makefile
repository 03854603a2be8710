# Everything goes through .env/, which `make env` prepares: docs/how-to/dolfinx.md
.DEFAULT_GOAL := help
.PHONY: help env env-next demo test verify check bench test-next reference docs clean
MAKEFLAGS += --no-print-directory

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

env: ## prepare .env/: Python, DOLFINx, all packages (PXM2MESH_PYTHON=... to choose the Python)
	@scripts/env

env-next: ## prepare .env-next/: the newest DOLFINx, from Debian unstable
	@scripts/env --next

demo: env ## the demonstration: a small electrode from image to report, runs/demo/report.html
	.env/bin/pxm2mesh run data/demo/study.toml

test: env ## the tests, without the long verification
	@scripts/test mesher 'not verify and not bench'
	@scripts/test solver 'not verify and not bench'

verify: env ## the long verification: closed forms, convergence rates, known answers
	@scripts/test mesher verify
	@scripts/test solver verify

check: env ## style, types and the direction of imports
	.env/bin/ruff check .
	.env/bin/ruff format --check .
	.env/bin/mypy
	.env/bin/lint-imports

bench: env ## benchmarks: time and memory
	@scripts/test bench

test-next: env-next ## the solver tests on the newest DOLFINx
	@scripts/test --env .env-next solver 'not verify and not bench'

reference: env ## bring the generated parts of the reference into step with the code
	.env/bin/python docs/tools/reference.py

docs: env ## the documentation as a site that works offline: site/index.html
	NO_MKDOCS_2_WARNING=1 .env/bin/python -m mkdocs build --strict --quiet
	@echo "site/index.html"

clean: ## remove what was made in this checkout (the shared cache stays)
	rm -rf .env .env.part .env.old .env-next .env-next.part .env-next.old runs dist build site
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find pxm2mesh simulations tests scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
