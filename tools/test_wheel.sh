#!/usr/bin/env bash
# The wheel in an empty environment of the oldest and the newest tested Python at hand (or of those given as arguments),
# used from an empty folder: what a person gets who never sees the checkout. It is not part of the test command, since
# it fetches every package, torch among them, from a package index.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
unset PYTHONPATH

# Print the first and the last of the tested Pythons that are on PATH.
oldest_and_newest() {
    local minor found=()
    for minor in 10 11 12 13; do
        if is_tested "python3.$minor"; then
            found+=("$(command -v "python3.$minor")")
        fi
    done
    [ ${#found[@]} -gt 0 ] || fail 'no Python 3.10 to 3.13 is on PATH.'
    printf '%s\n' "${found[0]}" "${found[-1]}" | uniq
}

# Use the installed package: its commands, and a config outside of any checkout that inherits from a shipped one.
use() (
    set -e
    cd "$1"
    textxfer doctor
    textxfer toy-actions actions --train-clips 4 --val-clips 1 --zero-shot-clips 1
    textxfer predict actions/videos/zero_shot --labels 'walking to the left,jumping to the right' --csv scores.csv
    textxfer train actions/train.txt --out model --no-finetune
    textxfer card model/model.pth
    textxfer export model/model.pth model.onnx
    textxfer predict actions/videos/zero_shot --model model.onnx --labels 'walking to the left,jumping to the right'
    cat >own.py <<-CONFIG
	_base_ = 'textxfer_mm::quickstart/finetune_efficientnet-lite0_minilm.py'
	data = dict(ann_file='actions/val.txt', data_prefix=dict(video='actions'))
	train_dataloader = val_dataloader = test_dataloader = dict(dataset=data)
	train_cfg = dict(max_epochs=1)
	param_scheduler = []
	model = dict(cls_head=dict(classifier=dict(class_names=open('actions/classes.txt').read().splitlines())))
	CONFIG
    textxfer features own.py features
    python "$(python -c 'import textxfer_mm; print(*textxfer_mm.__path__)')/.mim/tools/train.py" own.py
)

if [ $# -gt 0 ]; then
    pythons=("$@")
else
    found="$(oldest_and_newest)" # by itself, so that its failure ends this script
    mapfile -t pythons <<<"$found"
fi
# a build leaves folders behind, and would take what is left of an earlier one
mkdir "$folder/source"
parts=(setup.py pyproject.toml MANIFEST.in LICENSE README.md model-index.yml requirements configs tools textxfer_mm)
tar --exclude=__pycache__ --exclude=.mim -C "$PROJECT_ROOT" -cf - "${parts[@]}" | tar -xf - -C "$folder/source"
for base in "${pythons[@]}"; do
    is_supported "$base" || fail "$base is no Python >= 3.10."
    environment="$folder/environment"
    mkdir "$folder/empty"
    printf '== %s\n' "$("$base" --version)"
    step 'Making an empty environment' "$folder/log" "$base" -m venv "$environment"
    step 'Building the wheel' "$folder/log" "$environment/bin/pip" wheel --no-deps -w "$folder/wheels" "$folder/source"
    step 'Installing the wheel with offline and onnx' "$folder/log" "$environment/bin/pip" install \
        -c "$PROJECT_ROOT/requirements/constraints.txt" "$(echo "$folder"/wheels/textxfer_mm-*.whl)[offline,onnx]"
    export -f use
    PATH="$environment/bin:$PATH" step 'Using it from an empty folder' "$folder/log" use "$folder/empty"
    rm -rf "$environment" "$folder/empty" "$folder/wheels"
done
