#!/usr/bin/env bash
# A core set of the tests with the community forks of MMEngine and MMPretrain in the place of the originals, which stay
# installed: the forks lie in a folder of their own that comes first. Arguments go to pytest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

FORKS=(onedl-mmengine==0.10.12 onedl-mmpretrain==1.3.6)
CORE=(tests/test_compat.py tests/test_compat_imports.py tests/test_compat_checkpoints.py
    tests/test_engine/test_checkpoint_file.py tests/test_engine/test_saved_config.py
    tests/test_models/test_text_embedding_head.py tests/test_models/test_necks.py tests/test_models/test_contract.py)

cd "$PROJECT_ROOT"
select_environment
install_package tests
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
step "Fetching ${FORKS[*]}" "$folder/pip.log" \
    "$ENV_PYTHON" -m pip install --no-deps --target "$folder/site" "${FORKS[@]}" ||
    fail 'the forks could not be installed: is the package index within reach?'
export PYTHONPATH="$folder/site:$PROJECT_ROOT${PYTHONPATH:+:$PYTHONPATH}"
for module in mmengine mmpretrain; do
    "$ENV_PYTHON" -c "import $module; assert $module.__file__.startswith('$folder'), $module.__file__" ||
        fail "$module is not that of the fork."
done
"$ENV_PYTHON" -m pytest -q "${CORE[@]}" "$@"
