#!/usr/bin/env bash
# Lint, docstring coverage, the docs and the whole test suite, with what they need installed. Arguments go to pytest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

cd "$PROJECT_ROOT"
select_environment
install_package tests
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
failed=()

check() {
    printf '\n== %s\n' "$*"
    "$ENV_PYTHON" -m "$@" || failed+=("$1 $2")
}

check ruff check .
check ruff format --check .
check interrogate -c pyproject.toml textxfer_mm tools
check sphinx -q -W --keep-going docs docs/_build
if [ ${#failed[@]} -gt 0 ]; then
    printf '\n== failed so far:%s\n' "$(printf ' [%s]' "${failed[@]}")"
fi
# each worker begins with a half of its own, so that few fixtures are made by both
check pytest -n "${TEST_WORKERS:-2}" --dist worksteal "$@"
[ ${#failed[@]} -eq 0 ]
