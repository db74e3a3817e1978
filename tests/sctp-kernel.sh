#!/usr/bin/env bash
# Runs a command where SCTP is: `tests/sctp-kernel.sh COMMAND [ARGUMENT..]`. A kernel that has none is lent one: a user-mode
# Linux (Debian: user-mode-linux) boots beside, as a process, on the same files, and takes sctp.ko from its own package.
# Only its loopback exists. Output and exit status are the command's. 125: no such kernel here; 124: no end in SECONDS_MOST (100).
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }

has_sctp() { python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)' 2>/dev/null; }
if has_sctp; then exec "$@"; fi
for program in linux.uml modprobe ip python3; do
  command -v "$program" >/dev/null || { echo "sctp-kernel: no SCTP in this kernel, and no $program" >&2; exit 125; }
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  echo 'set -u'
  export -p
  printf 'cd %q\n' "$PWD"
  printf '%q ' "$@"
} >"$folder/command"

# The first process of that kernel: what a machine does at its start, and not a thing more.
cat >"$folder/first" <<'FIRST'
#!/bin/bash
folder=${0%/*}
exec >"$folder/start" 2>&1 </dev/null
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc none /proc
mount -t sysfs none /sys
# Modules belong below lib/modules of some root; this one lives in memory.
mount -t tmpfs none /run
mkdir -p /run/root/lib/modules
ln -s "/usr/lib/uml/modules/$(uname -r)" /run/root/lib/modules/
# What hashes the cookies of SCTP is a module of its own and not loaded by asking.
for module in md5 sha1_generic hmac sctp; do modprobe --dirname /run/root "$module"; done
# A path of Ethernet's size: with the 64 KiB of loopback every loss costs a timeout.
ip link set lo mtu 1500
ip link set lo up
bash "$folder/command" >"$folder/output" 2>&1
echo $? >"$folder/status"
sync
# Power off; there is no init to ask.
python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321FEDC)'
FIRST
chmod +x "$folder/first"

timeout --kill-after=5 "${SECONDS_MOST:-100}" linux.uml mem="${MEMORY:-768M}" root=/dev/root rootfstype=hostfs rootflags=/ rw \
  init="$folder/first" quiet con=null con0=null,fd:2 >"$folder/console" 2>&1 </dev/null || true
if [ ! -e "$folder/output" ]; then
  cat "$folder/start" "$folder/console" >&2 2>/dev/null || true
  echo "sctp-kernel: the kernel did not start" >&2
  exit 125
fi
cat "$folder/output"
[ -s "$folder/status" ] || { echo "sctp-kernel: no end within ${SECONDS_MOST:-100} s" >&2; exit 124; }
exit "$(cat "$folder/status")"
