#!/bin/bash
# One training. sbatch's options stand before the script, flags of experiments/run.py after it:
#   sbatch --gres=gpu:1 experiments/slurm/train.sh --model efficientnet --data.root data/gtzan
#   sbatch --nodes=2 --ntasks-per-node=4 --gres=gpu:4 experiments/slurm/train.sh --model efficientnet
#   sbatch --array=0-14 --gres=gpu:1 experiments/slurm/train.sh --model efficientnet --seeds 0 1 2 \
#       --data.split artist --folds all                       # tasks share the seeds and folds
#   sbatch --cpus-per-task=8 experiments/slurm/train.sh --model small_cnn    # without a GPU
# One task is one process of Lightning (ddp from two on) and takes one GPU of --gres=gpu:N; not
# --gpus-per-task, which hides a node's other GPUs from it. Start it from the repository root, with
# .venv (make env) and mlruns on a file system that all nodes share. A job that is preempted or out
# of time is requeued and resumes after its last whole epoch, in the same MLflow run.
#SBATCH --job-name=gtzan-train
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
set -euo pipefail

exec bash experiments/slurm/preemptible.sh .venv/bin/python experiments/run.py \
    --fit.num_nodes "$SLURM_JOB_NUM_NODES" --fit.devices "$SLURM_NTASKS_PER_NODE" \
    --resume last "$@"
