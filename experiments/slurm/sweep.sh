#!/bin/bash
# One study, many workers: each task of the array tries recipes until the study has --trials ended
# trials. The first one opens the study. With FLAGS="--model vgg --space FILE --trials 200":
#   sbatch --array=1-8 --gres=gpu:1 experiments/slurm/sweep.sh $FLAGS
#   python experiments/sweep.py $FLAGS      # afterwards: prints and records the result
# Workers share a journal file under --track.folder, which needs no server but a file system that
# all nodes share, or a database of their own (--storage postgresql+psycopg://user@host/sweeps in
# both commands, its password in PGPASSWORD or ~/.pgpass). A preempted worker is requeued; the
# trial that it was running is not counted.
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
