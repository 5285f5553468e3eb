#!/usr/bin/env bash
# Train on a Slurm cluster: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
# Environment: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, MASTER_PORT.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"

USAGE='usage: slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]'
launch_slurm "${1:?$USAGE}" "${2:?$USAGE}" train.py "${3:?$USAGE}" --launcher slurm "${@:4}"
