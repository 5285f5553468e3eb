#!/usr/bin/env bash
# Train on several GPUs (or CPU processes): bash tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"

USAGE='usage: dist_train.sh CONFIG GPUS [arguments of train.py]'
launch_local "${2:?$USAGE}" train.py "${1:?$USAGE}" --launcher pytorch "${@:3}"
