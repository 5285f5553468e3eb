#!/usr/bin/env bash
# Test on several GPUs (or CPU processes): bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"

USAGE='usage: dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]'
launch_local "${3:?$USAGE}" test.py "${1:?$USAGE}" "${2:?$USAGE}" --launcher pytorch "${@:4}"
