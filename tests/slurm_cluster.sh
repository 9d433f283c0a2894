#!/usr/bin/env bash
# A SLURM cluster of one node with one pretended GPU, on loopback, for tests. Needs root and Debian's slurm-wlm and munge.
#   tests/slurm_cluster.sh up FOLDER     starts munged, slurmctld and slurmd; their state and logs go into FOLDER
#   tests/slurm_cluster.sh controller FOLDER    ends slurmctld and starts it again, jobs and all
#   tests/slurm_cluster.sh down FOLDER   stops them
# The configuration must lie in /etc/slurm, since SLURM_CONF does not reach the job step of a submitted job. An existing
# /etc/slurm/slurm.conf that is not of this script is left alone.
set -euo pipefail
action=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
mark="# made by tests/slurm_cluster.sh"

stop() { [ ! -f "$folder/$1.pid" ] || kill "$(cat "$folder/$1.pid")" 2>/dev/null || true; }

start_controller() {
  slurmctld
  for _ in $(seq 50); do sinfo -h >/dev/null 2>&1 && return; sleep 0.2; done
  echo "slurmctld does not answer; see $folder/slurmctld.log" >&2
  return 1
}

case $action in
up)
  if [ -f /etc/slurm/slurm.conf ] && ! grep -q "$mark" /etc/slurm/slurm.conf; then
    echo "/etc/slurm/slurm.conf is another cluster's" >&2
    exit 1
  fi
  mkdir -p "$folder/state" "$folder/spool" /etc/slurm /run/munge
  if [ ! -f /etc/munge/munge.key ]; then
    dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none
    chown munge:munge /etc/munge/munge.key
    chmod 400 /etc/munge/munge.key
  fi
  chown munge:munge /run/munge
  chmod 755 /run/munge
  munge -n >/dev/null 2>&1 || runuser -u munge -- /usr/sbin/munged --force
  host=$(hostname -s)
  cat >/etc/slurm/slurm.conf <<EOF
$mark
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Without cgroups, memory is looked at every other second, and who has too much is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
JobAcctGatherFrequency=task=2
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# Without accounting a job's end is only seen while the controller remembers it.
MinJobAge=3600
ReturnToService=2
KillWait=5
MpiDefault=none
GresTypes=gpu
# Twice the processors that are there: jobs that wait for something need none.
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(($(nproc) * 2)) RealMemory=$(($(free -m | awk '/^Mem:/ {print $2}') * 9 / 10)) Gres=gpu:1
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=internet Nodes=$host MaxTime=INFINITE State=UP
EOF
  echo "Name=gpu File=/dev/null" >/etc/slurm/gres.conf
  echo "CgroupAutomount=no" >/etc/slurm/cgroup.conf
  start_controller
  slurmd
  for _ in $(seq 50); do [ "$(sinfo -h -o %T)" = idle ] && exit 0; sleep 0.2; done
  echo "the node does not become idle; see $folder/slurmd.log" >&2
  exit 1
  ;;
controller)
  # Not kill -9: SLURM writes its state down up to five seconds late, and forgets a job submitted just before.
  pid=$(cat "$folder/slurmctld.pid")
  kill -TERM "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  start_controller
  ;;
down)
  scancel --user root 2>/dev/null || true
  stop slurmd
  stop slurmctld
  grep -q "$mark" /etc/slurm/slurm.conf && rm -f /etc/slurm/slurm.conf /etc/slurm/gres.conf /etc/slurm/cgroup.conf
  ;;
*)
  echo "usage: $0 up|controller|down FOLDER" >&2
  exit 2
  ;;
esac
