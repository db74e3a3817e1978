#!/usr/bin/env bash
# Whole programs beside peers, in one run on this machine: CPU seconds (user + system), the smallest of RUNS.
#   tests/bench.sh [exporter] [collector]        RUNS=3 PACKETS=1000000 RECORDS=2000000 RATE=100000
# Captures and load come from the generators beside the checkout; without them, and without a peer, that part is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${FLOWGAUGE_SHARED:-$PWD/../shared}
programs=${FLOWGAUGE_PROGRAMS:-$PWD/target/release}
runs=${RUNS:-3} packets=${PACKETS:-1000000} records=${RECORDS:-2000000} rate=${RATE:-100000}
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"' EXIT
have() { command -v "$1" >/dev/null; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

least() { # COMMAND...: the smallest CPU seconds of the command and its children
  local best=1e9 cpu TIMEFORMAT='%U %S'
  for _ in $(seq "$runs"); do
    rm -rf "$work/out"; mkdir "$work/out"
    cpu=$( { time "$@" >/dev/null 2>"$work/err"; } 2>&1 | awk 'END { print $1 + $2 }') || true
    best=$(awk -v a="$best" -v b="$cpu" 'BEGIN { print b < a ? b : a }')
  done
  echo "$best"
}

exporter() {
  local sink port capture
  port=$(free_port)
  python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', $port))
while True: s.recv(65535)" & sink=$!; pids+=("$sink")
  printf '\n%-22s %11s %11s %11s %11s\n' "CPU s per $packets packets" flowgauge softflowd nfpcapd 'softflowd/ours'
  for profile in elephants scan mix dns; do
    capture=$work/$profile.pcap
    python3 "$shared/tools/synth" --seed 7 --packets "$packets" --profile "$profile" --out "$capture" \
      $([ "$profile" = elephants ] && echo --snaplen 128)
    local ours soft=- nfp=- ratio=-
    ours=$(least "$programs/flowgauge-exporter" run --read "$capture" --to "udp://127.0.0.1:$port" --quiet)
    have softflowd && soft=$(least softflowd -r "$capture" -n "127.0.0.1:$port" -v 10 -A milli -a -d -m 4000000 -p "$work/sf.pid" -c none)
    have nfpcapd && nfp=$(least nfpcapd -r "$capture" -w "$work/out")
    [ "$soft" = - ] || ratio=$(awk "BEGIN { printf \"%.1f\", $soft / $ours }")
    printf '%-22s %11s %11s %11s %11s\n' "$profile" "$ours" "$soft" "$nfp" "$ratio"
    rm -f "$capture"
  done
  kill "$sink"
}

cpu_of() { awk '{ print ($14 + $15 + $16 + $17) / 100 }' "/proc/$1/stat"; }

collector() {
  local load=$shared/tools/flowload.py port http sent offered kept spent pid
  [ "$(id -u)" = 0 ] && sysctl -qw net.core.rmem_max=134217728 || true
  printf '\n%-12s %10s %10s %10s %12s %12s\n' collector offered stored 'CPU s' 'records/CPU s' 'octets/flow'
  row() { awk -v n="$1" -v o="$2" -v k="$3" -v c="$4" -v b="$5" 'BEGIN { printf "%-12s %10d %10d %10.2f %12.0f %12.1f\n", n, o, k, c, k / c, b / (k ? k : 1) }'; }
  if have nfcapd; then
    port=$(free_port); mkdir "$work/nf"
    nfcapd -b 127.0.0.1 -p "$port" -w "$work/nf" -t 86400 -B 67108864 -y >/dev/null 2>&1 & pid=$!; pids+=("$pid")
    sleep 1; sent=$("$load" ipfix "$port" "$records" --rate "$rate" | tail -1); sleep 2
    spent=$(cpu_of $pid); kill -TERM $pid; wait $pid 2>/dev/null || true
    offered=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["records"])' "$sent")
    kept=$(nfdump -r "$work"/nf/nfcapd.2* -I 2>/dev/null | awk -F: '$1 == "Flows" { print $2 + 0 }')
    row nfcapd "$offered" "$kept" "$spent" "$(du -sb "$work/nf" | cut -f1)"
  fi
  port=$(free_port); http=$(free_port)
  "$programs/flowgauge-collector" run --listen "udp://127.0.0.1:$port" --data "$work/fg" --http "127.0.0.1:$http" 2>"$work/log" & pid=$!
  pids+=("$pid")
  for _ in $(seq 100); do curl -sf "http://127.0.0.1:$http/readyz" >/dev/null && break; sleep 0.1; done
  sent=$("$load" ipfix "$port" "$records" --rate "$rate" | tail -1)
  offered=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["records"])' "$sent")
  for _ in $(seq 120); do
    kept=$(curl -sf "http://127.0.0.1:$http/api/v1/aggregate?metrics=flows" | python3 -c 'import json, sys; print(int(json.load(sys.stdin)["rows"][0]["flows"] or 0))')
    [ "$kept" -ge "$offered" ] && break
    sleep 0.5
  done
  spent=$(cpu_of $pid); kill -TERM $pid; wait $pid 2>/dev/null || true
  row flowgauge "$offered" "$kept" "$spent" "$(du -sb "$work/fg" | cut -f1)"
}

[ -d "$shared/tools" ] || { echo "left out: figures beside peers need the generators ($shared is not there)"; exit 0; }
for part in ${*:-exporter collector}; do "$part"; done
