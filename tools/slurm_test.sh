#!/usr/bin/env bash
# Test on a Slurm cluster: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]
# Environment: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, MASTER_PORT.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"

USAGE='usage: slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]'
launch_slurm "${1:?$USAGE}" "${2:?$USAGE}" test.py "${3:?$USAGE}" "${4:?$USAGE}" --launcher slurm "${@:5}"
