# Shared by dist_*.sh and slurm_*.sh (sourced, not run): how a script of this folder is started in many processes.

TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}"

# launch_local GPUS SCRIPT ARGUMENTS...: one process a GPU (or CPU processes) on this machine, by torchrun.
launch_local() {
    local gpus="$1" script="$2"
    shift 2
    if [[ ! "$gpus" =~ ^[1-9][0-9]*$ ]]; then
        echo "error: GPUS is a number of processes, not '$gpus'." >&2
        exit 2
    fi
    exec python "$TOOLS/_torchrun.py" \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$gpus" \
        "$TOOLS/$script" "$@"
}

# launch_slurm PARTITION JOB_NAME SCRIPT ARGUMENTS...: one process a GPU of a Slurm cluster, by srun.
launch_slurm() {
    local partition="$1" job_name="$2" script="$3" gpus="${GPUS:-8}" per_node="${GPUS_PER_NODE:-8}"
    shift 3
    per_node=$((gpus < per_node ? gpus : per_node))
    export MASTER_PORT=${MASTER_PORT:-$((12000 + RANDOM % 20000))}
    # shellcheck disable=SC2086  # SRUN_ARGS holds several words
    exec srun -p "$partition" \
        --job-name="$job_name" \
        --gres="gpu:$per_node" \
        --ntasks="$gpus" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        python -u "$TOOLS/$script" "$@"
}
