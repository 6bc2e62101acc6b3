#!/bin/bash
# Runs a command as the tasks of this job and sends the job back into the queue when its time is up:
# the last line of train.sh and sweep.sh, which ask SLURM for --requeue and for SIGUSR1 to
# the batch shell alone (--signal=B:USR1@120: two minutes before the time limit, and before a preemption where the cluster
# has PreemptParameters=send_user_signal; others requeue a preempted job themselves).
# The training does not get the signal; it has written last.ckpt after every epoch.
set -euo pipefail

job=$SLURM_JOB_ID
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    # one task of an array has the whole array's number as its SLURM_JOB_ID
    job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
fi
# since SLURM 22.05 srun does not take --cpus-per-task over from sbatch
cpus=${SLURM_CPUS_PER_TASK:-1}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$cpus}

srun --cpus-per-task="$cpus" --kill-on-bad-exit=1 "$@" &
tasks=$!
# where a cluster forbids requeueing, scontrol says so and the job runs to its end
trap 'scontrol requeue "$job" || true' USR1
while true; do
    code=0
    wait "$tasks" || code=$?
    # the signal ends the wait, not the tasks
    kill -0 "$tasks" 2>/dev/null || exit "$code"
done
