#!/bin/bash
# One study, many workers: each task of the array tries recipes until the study has --trials ended
# trials. With FLAGS="--model vgg --space FILE":
#   python experiments/sweep.py $FLAGS --trials 0        # opens the study, once
#   sbatch --array=1-8 --gres=gpu:1 experiments/slurm/sweep.sh $FLAGS --trials 200
#   python experiments/sweep.py $FLAGS --trials 200      # prints and records the result
# Workers meet in a journal file under --track.folder, which needs no server but a file system that
# all nodes share, or in a database of their own (--storage postgresql+psycopg://user@host/sweeps in
# all three commands, its password in PGPASSWORD or ~/.pgpass). A preempted worker is requeued; the
# trial it was at is not counted.
#SBATCH --job-name=gtzan-sweep
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
set -euo pipefail

exec bash experiments/slurm/preemptible.sh .venv/bin/python experiments/sweep.py "$@" --worker
