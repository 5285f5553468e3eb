#!/usr/bin/env bash
# The whole way in one command: installs what is missing, renders the toy-actions videos, trains, tests, evaluates
# zero-shot, predicts, and writes work_dirs/quickstart/report.md. Arguments go to `textxfer quickstart`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

cd "$PROJECT_ROOT"
select_environment
install_package offline tests
exec "$(dirname "$ENV_PYTHON")/textxfer" quickstart "$@"
