#!/usr/bin/env bash
# The whole way in one command: installs what is missing, renders the toy-actions videos, trains, tests, evaluates
# zero-shot, predicts, and writes work_dirs/quickstart/report.md. Arguments go to `textxfer quickstart`.
set -euo pipefail
case " $* " in *' -h '* | *' --help '*)
    echo 'usage: bash tools/quickstart.sh [--work-dir FOLDER] [--seed N] [--train-clips N] [--epochs N]'
    echo 'Installs what is missing, then renders, trains, tests, predicts and reports; see README.md.'
    exit 0
    ;;
esac
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

cd "$PROJECT_ROOT"
select_environment
install_package offline tests
if [ "$ENV_PYTHON" = "$PROJECT_ROOT/.venv/bin/python" ] && [ "${VIRTUAL_ENV:-}" != "$PROJECT_ROOT/.venv" ]; then
    printf 'For the textxfer command in this shell, now or later: source %q\n\n' "$PROJECT_ROOT/.venv/bin/activate"
fi
exec "$(dirname "$ENV_PYTHON")/textxfer" quickstart "$@" # in place of this shell, so that signals reach it
