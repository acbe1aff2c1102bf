#!/bin/sh
# A Slurm cluster of one node on this machine, to try jobs before a real one: Debian or Ubuntu, root.
#
#   tools/slurm_cluster.sh start|stop
set -eu

state=/var/lib/selfpatch-slurm
host=$(hostname -s)

ours() {
    grep -qs '^ClusterName=selfpatch$' /etc/slurm/slurm.conf
}

start() {
    [ ! -e /etc/slurm/slurm.conf ] || ours || {
        echo "error: /etc/slurm/slurm.conf is of another cluster; run this on a machine of your own" >&2
        exit 2
    }
    command -v slurmctld >/dev/null && command -v munged >/dev/null || {
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >/dev/null
    }
    mkdir -p "$state/ctld" "$state/d" /etc/slurm /run/munge
    chown munge: /run/munge
    # Jobs do not inherit SLURM_* variables, so that the file stands where it is looked for.
    cat >/etc/slurm/slurm.conf <<EOF
ClusterName=selfpatch
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/d
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ { print int($2 / 1280) }' /proc/meminfo) State=UNKNOWN
PartitionName=local Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
    pgrep -x munged >/dev/null || runuser -u munge -- munged
    pgrep -x slurmctld >/dev/null || slurmctld
    pgrep -x slurmd >/dev/null || slurmd
    for _ in $(seq 60); do
        timeout 2 sinfo --noheader --states=idle 2>/dev/null | grep -q local && break
        sleep 1
    done
    timeout 5 sinfo
}

stop() {
    ours || return 0
    for name in slurmd slurmctld munged; do
        pkill -x "$name" || true
        while pgrep -x "$name" >/dev/null; do sleep 0.2; done
    done
}

case "${1:-}" in
    start | stop) "$1" ;;
    *) sed -n 's/^# \{0,1\}//p' "$0" | head -4 >&2; exit 2 ;;
esac
