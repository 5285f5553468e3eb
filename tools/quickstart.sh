#!/usr/bin/env bash
# The whole way in one command: installs what is missing, renders the toy-actions videos, trains, tests, evaluates
# zero-shot, predicts, and writes work_dirs/quickstart/report.md. Arguments go to `textxfer quickstart`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

cd "$PROJECT_ROOT"
select_environment
install_package offline tests
"$(dirname "$ENV_PYTHON")/textxfer" quickstart "$@"
if [ "$ENV_PYTHON" = "$PROJECT_ROOT/.venv/bin/python" ] && [ "${VIRTUAL_ENV:-}" != "$PROJECT_ROOT/.venv" ]; then
    printf '\nTo go on with the textxfer command: source %q\n' "$PROJECT_ROOT/.venv/bin/activate"
fi
