# vapiadmin: `make help` lists what there is to do.
.DEFAULT_GOAL := help
.PHONY: help install run test check format bench
SHELL := /bin/sh
BIN := .venv/bin
# The suite ends after this long, whatever hangs.
TEST_SECONDS ?= 1200
# Arguments of the benchmark, as in `make bench BENCH="--sessions 2000"`.
BENCH ?=
# More arguments for pytest, as in `make test PYTEST="-k costs"`.
PYTEST ?=

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

install: ## make .venv from the lock (again only when the lock has changed)
	@sh .ci/install requirements-dev.lock .venv

run: install ## start everything on this machine; without VAPI_API_KEY a demo. Ctrl-C stops it
	@$(BIN)/python manage.py run

test: install ## run the suite on SQLite and on PostgreSQL
	@command -v git >/dev/null || { echo "git is missing: install the package git." >&2; exit 1; }
	@failed=; for database in sqlite postgresql; do \
		TEST_DATABASE=$$database timeout --kill-after=30 $(TEST_SECONDS) $(BIN)/pytest -n auto --durations=10 $(PYTEST) || failed="$$failed $$database"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed on:$$failed" >&2; exit 1; fi

check: install ## format, lint, types, layers, templates, migrations, settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/djlint templates --check --lint
	@var=$$(mktemp -d) && trap 'rm -rf "$$var"' EXIT && export VAR_DIR="$$var" \
		&& $(BIN)/python manage.py makemigrations --check --dry-run \
		&& $(BIN)/python manage.py check --fail-level WARNING \
		&& DEBUG=off SECRET_KEY=a-key-for-this-check-alone-0123456789-0123456789-abcdef FIELD_ENCRYPTION_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= PUBLIC_URL=https://example.test \
			$(BIN)/python manage.py collectstatic --no-input --verbosity 0

format: install ## put code and templates into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	-$(BIN)/djlint templates --reformat --quiet

bench: install ## measure syncs and pages on SQLite and on PostgreSQL
	@var=$$(mktemp -d) && trap 'rm -rf "$$var"' EXIT && mkdir "$$var/static" && export VAR_DIR="$$var" LOG_LEVEL=ERROR \
		&& $(BIN)/python manage.py bench $(BENCH) && $(BIN)/python -m tests.postgresql $(BIN)/python manage.py bench $(BENCH)
