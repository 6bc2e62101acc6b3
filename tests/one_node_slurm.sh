#!/bin/bash
# A real SLURM of one node, from Debian's packages, in a container or machine without systemd:
#   bash tests/one_node_slurm.sh start   # as root; then sinfo, sbatch and tests/training/test_slurm.py work
#   bash tests/one_node_slurm.sh stop    # ends its daemons and takes its configuration away
# Processes are followed without control groups, as containers have none to give. It is for trying
# the scripts of experiments/slurm, not for work: everybody on it is root.
set -euo pipefail

conf=/etc/slurm/slurm.conf
state=/var/lib/one-node-slurm
header="# written by one_node_slurm.sh"

configure() {
    if [ -e "$conf" ] && ! grep -qxF "$header" "$conf"; then
        echo "$conf belongs to another SLURM, which this script leaves alone" >&2
        exit 1
    fi
    mkdir -p "$(dirname "$conf")" "$state"/{controller,node}
    # cred_expire is also how long a requeued job waits (two minutes by default)
    cat >"$conf" <<END
$header
ClusterName=one
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=1,sched_interval=2
KillWait=15
JobRequeue=1
ReturnToService=2
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=${CPUS:-2} State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

start() {
    if ! command -v slurmctld munged >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            slurm-wlm munge >/dev/null
    fi
    configure
    mkdir -p /run/munge
    chown munge: /run/munge
    munge -n >/dev/null 2>&1 || runuser -u munge -- munged
    scontrol ping >/dev/null 2>&1 || slurmctld
    pgrep -F "$state/slurmd.pid" >/dev/null 2>&1 || slurmd
    for _ in $(seq 30); do
        if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then
            sinfo
            return
        fi
        sleep 1
    done
    echo "no idle node after 30 s: see $state/*.log" >&2
    exit 1
}

stop() {
    for daemon in slurmd slurmctld; do
        pkill -F "$state/$daemon.pid" || true
    done
    pkill -F /run/munge/munged.pid || true
    if grep -qxF "$header" "$conf"; then
        rm "$conf"
    fi
}

case "${1:-}" in
    start | stop) "$1" ;;
    *) echo "usage: $0 start|stop" >&2 && exit 2 ;;
esac
