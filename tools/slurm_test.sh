#!/usr/bin/env bash
# GPUS=8 tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]
set -eu
exec srun --partition "$1" --job-name "$2" --ntasks "${GPUS:-8}" \
    --ntasks-per-node "${GPUS_PER_NODE:-8}" --cpus-per-task "${CPUS_PER_TASK:-5}" \
    ${GRES:---gres=gpu:${GPUS_PER_NODE:-8}} --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    python -m selfpatch test "$3" "$4" --launcher slurm "${@:5}"
