#!/bin/bash
# One study, many workers: each task of the array tries until the study has --trials ended trials.
#   1. open the study once, where the code is:
#        python experiments/sweep.py --trials 0 $FLAGS --storage "$STORAGE"
#   2. sbatch --array=1-8 --export=ALL,FLAGS="--model vgg --space FILE --trials 200",STORAGE="$STORAGE" \
#        experiments/slurm/sweep.sh
#   3. the first command with the same --trials prints and logs the result.
# STORAGE is a database of the study's own, such as postgresql://user@host/sweeps.
#SBATCH --job-name=gtzan-sweep
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
set -euo pipefail
# shellcheck disable=SC2086
srun .venv/bin/python experiments/sweep.py $FLAGS --storage "$STORAGE" --worker
