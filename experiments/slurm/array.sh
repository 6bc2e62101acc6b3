#!/bin/bash
# One training for every seed and fold: task n of the array has seed n / FOLDS and fold n % FOLDS.
#   SEEDS=3 FOLDS=5 sbatch --array=0-14 --gres=gpu:1 experiments/slurm/array.sh \
#       --model efficientnet --data.root data/gtzan --data.split artist
#   SEEDS=5 sbatch --array=0-4%2 --gres=gpu:1 experiments/slurm/array.sh --model efficientnet
# (%2: two at a time; without FOLDS the protocol's own test part.) Everything else is train.sh's.
# SQLite is not for several nodes: give the jobs MLFLOW_TRACKING_URI of a server.
#SBATCH --job-name=gtzan-array
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
set -euo pipefail

task=$SLURM_ARRAY_TASK_ID
seeds=${SEEDS:-1}
folds=${FOLDS:-1}
if ((task >= seeds * folds)); then
    echo "task $task is outside of SEEDS=$seeds x FOLDS=$folds: --array=0-$((seeds * folds - 1))" >&2
    exit 2
fi
flags=(--seed "$((task / folds))")
if ((folds > 1)); then
    flags+=(--data.folds "$folds" --data.fold "$((task % folds))")
fi
exec bash experiments/slurm/train.sh "$@" "${flags[@]}"
