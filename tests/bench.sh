#!/usr/bin/env bash
# Whole programs beside peers, in one run on this machine: CPU seconds (user + system), the smallest of RUNS.
#   tests/bench.sh [exporter] [sending] [summaries] [collector] [burst] [rollups] [queries] RUNS=3 PACKETS=1000000 RECORDS=2000000 RATE=100000
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

bar_of() { case $1 in elephants) echo 2 ;; scan) echo 6 ;; mix) echo 1.7 ;; dns) echo 4 ;; esac; }
over() { [ "$1" = - ] && echo - || awk "BEGIN { printf \"%.1f\", $1 / $2 }"; }

exporter() {
  local sink port capture profile
  port=$(free_port)
  python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', $port))
while True: s.recv(65535)" & sink=$!; pids+=("$sink")
  printf '\nCPU s per %s packets; softflowd / ours, and what that is to be at least\n' "$packets"
  printf '%-10s %9s %9s %9s %9s %14s %14s\n' '' alone all softflowd nfpcapd /alone '/all'
  for profile in elephants scan mix dns; do
    capture=$work/$profile.pcap
    python3 "$shared/tools/synth" --seed 7 --packets "$packets" --profile "$profile" --out "$capture" \
      $([ "$profile" = elephants ] && echo --snaplen 128)
    # As fast as it goes, like the peers, which have no pace.
    local ours=("$programs/flowgauge-exporter" run --read "$capture" --to "udp://127.0.0.1:$port" --rate 0 --quiet)
    local alone all soft=- nfp=-
    # Flow metering alone is what the peers do; all is TCP performance and every application.
    alone=$(least "${ours[@]}" --tcp-performance off --applications none --dns off)
    all=$(least "${ours[@]}")
    have softflowd && soft=$(least softflowd -r "$capture" -n "127.0.0.1:$port" -v 10 -A milli -a -d -m 4000000 -p "$work/sf.pid" -c none)
    have nfpcapd && nfp=$(least nfpcapd -r "$capture" -w "$work/out")
    printf '%-10s %9s %9s %9s %9s %14s %14s\n' "$profile" "$alone" "$all" "$soft" "$nfp" \
      "$(over "$soft" "$alone") (>= $(bar_of "$profile"))" "$(over "$soft" "$all") (>= 1)"
    rm -f "$capture"
  done
  kill "$sink"
  memory
}

sending() {
  local capture=$work/scan.pcap records one two tcp spooled begin end udp=() pid
  python3 "$shared/tools/synth" --seed 7 --packets "$packets" --profile scan --out "$capture"
  for _ in 1 2; do
    udp+=("$(free_port)")
    python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', ${udp[-1]}))
while True: s.recv(65535)" & pids+=("$!")
  done
  tcp=$(free_port)
  python3 -c "
import socket, threading
s = socket.create_server(('127.0.0.1', $tcp))
def read(c):
    while c.recv(1 << 20): pass
    c.close()
while True: threading.Thread(target=read, args=(s.accept()[0],)).start()" & pids+=("$!")
  sleep 1
  local ours=("$programs/flowgauge-exporter" run --read "$capture" --rate 0 --tcp-performance off --applications none --dns off)
  records=$("${ours[@]}" --to "udp://127.0.0.1:${udp[0]}" 2>&1 | awk '/records exported/ { for (i = 1; i < NF; i++) if ($(i + 1) == "records") { print $i; exit } }')
  # What a second destination adds is what one costs, encoding and sending.
  one=$(least "${ours[@]}" --to "udp://127.0.0.1:${udp[0]}")
  two=$(least "${ours[@]}" --to "udp://127.0.0.1:${udp[0]}" "udp://127.0.0.1:${udp[1]}")
  printf '\nSending %s records by UDP: %s CPU s with one destination, %s with two: %s of metering (<= 0.10)\n' "$records" "$one" "$two" \
    "$(awk "BEGIN { printf \"%.2f\", ($two - $one) / (2 * $one - $two) }")"
  spooled=$(least "${ours[@]}" --to "tcp://127.0.0.1:$tcp")
  printf 'By TCP: %s CPU s; ' "$spooled"
  begin=$(date +%s%N)
  "${ours[@]}" --to "tcp://127.0.0.1:$tcp" --spool "$work/spool" 2>"$work/err"
  end=$(date +%s%N)
  grep -q "$records records exported in .* 0 lost" "$work/err" || cat "$work/err"
  spooled=$(least "${ours[@]}" --to "tcp://127.0.0.1:$tcp" --spool "$work/spool")
  printf 'through a spool %s CPU s, %s records a second from the first packet to the last confirmed (>= 200000)\n' "$spooled" \
    "$(awk "BEGIN { printf \"%.0f\", $records / (($end - $begin) / 1e9) }")"
  rm -rf "$capture" "$work/spool"
}

frames() { # FLOWS: a capture of one UDP packet for each of so many flows, a microsecond apart
  python3 -c "
import struct, sys
n, out = $1, sys.stdout.buffer
out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
ip = bytes.fromhex('45000024000000004011000000000000c0000201')
head, tail = bytes.fromhex('0200000000020200000000010800') + ip[:12], ip[16:]
part = []
for i in range(n):
    part.append(struct.pack('<IIII', 1767225600 + i // 1000000, i % 1000000, 50, 50) + head
                + struct.pack('>I', 0x0a000000 + i // 60000) + tail + struct.pack('>HHHH', 1024 + i % 60000, 53, 16, 0) + b'12345678')
    if len(part) == 4096:
        out.write(b''.join(part)); part.clear()
out.write(b''.join(part))"
}

most_memory() { # COMMAND...: the largest resident set of the command, MB
  python3 -c "
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print(f'{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f}')" "$@"
}

memory() {
  local flows pid
  printf '\n%-44s %10s\n' 'largest resident set' MB
  if [ "$(id -u)" = 0 ]; then
    "$programs/flowgauge-exporter" run --interface lo --filter 'port 1' --to file:/dev/null --quiet 2>/dev/null & pid=$!; pids+=("$pid")
    sleep 3
    printf '%-44s %10s\n' 'idle on an interface (at most 13)' "$(awk '/VmHWM/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status" || echo -)"
    kill "$pid"; wait "$pid" 2>/dev/null || true
  fi
  for flows in 1000 10000 100000 1000000 4000000; do
    printf '%-44s %10s\n' "$flows flows at once" \
      "$(most_memory "$programs/flowgauge-exporter" run --read - --to file:/dev/null --idle-timeout 1d --max-flows 4000000 --quiet < <(frames "$flows"))"
  done
  printf '%-44s %10s\n' '10000000 flows, --max-flows 1000000' \
    "$(most_memory "$programs/flowgauge-exporter" run --read - --to file:/dev/null --idle-timeout 1d --max-flows 1000000 --quiet < <(frames 10000000))"
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

# What rollups cost while rows arrive, and the top sources of 30 days, which may take 100 ms.
rollups() {
  printf '\nrollups: CPU of rows without and with them, then questions to 30 days of them\n'
  for part in off on; do
    printf '%-4s ' "$part"
    ROLLUPS=$part FLOWS=1000000 cargo bench --quiet -p flowgauge-collector --bench store 2>/dev/null | grep '^cpu  '
  done
  ROLLUP_DAYS=30 cargo bench --quiet -p flowgauge-collector --bench store 2>/dev/null
}

cpu_of_receiving() { # PID: the threads that read sockets, write the journal and make it durable
  cat "/proc/$1"/task/*/stat | sed -nE 's/^[0-9]+ \((udp-|journal)[^)]*\) //p' | awk '{ spent += $12 + $13 } END { print spent / 100 }'
}

# A stream beyond what can be indexed at once: what receiving and journaling cost, what was lost, how long indexing takes.
burst() {
  local load=$shared/tools/flowload.py port http sent offered pid status rate
  [ "$(id -u)" = 0 ] && sysctl -qw net.core.rmem_max=134217728 || true
  printf '\n%-22s %10s %10s %10s %12s %14s %10s\n' 'received and journaled' offered records/s 'CPU s' 'records/CPU s' 'datagrams lost' 'indexed in'
  for rate in ${BURST_RATES:-300000 1000000}; do
    offered=$((rate * 10)) port=$(free_port) http=$(free_port)
    if have nfcapd; then
      rm -rf "$work/nf"; mkdir "$work/nf"
      nfcapd -b 127.0.0.1 -p "$port" -w "$work/nf" -t 86400 -B 67108864 -y >/dev/null 2>&1 & pid=$!; pids+=("$pid")
      sleep 1; sent=$("$load" ipfix "$port" "$offered" --rate "$rate" | tail -1); sleep 2
      spent=$(cpu_of $pid); kill -TERM $pid; wait $pid 2>/dev/null || true
      kept=$(nfdump -r "$work"/nf/nfcapd.2* -I 2>/dev/null | awk -F: '$1 == "Flows" { print $2 + 0 }')
      python3 - "$sent" "$spent" "$kept" <<'PY'
import json, sys
sent, spent, kept = json.loads(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3] or 0)
print(f"{'nfcapd':22} {sent['records']:10} {sent['records_per_s']:10} {spent:10.2f} {kept / spent:12.0f} {(sent['records'] - kept) // 21:14} {'-':>10}")
PY
    fi
    rm -rf "$work/fg"
    "$programs/flowgauge-collector" run --listen "udp://127.0.0.1:$port" --data "$work/fg" --http "127.0.0.1:$http" 2>"$work/log" & pid=$!
    pids+=("$pid")
    for _ in $(seq 100); do curl -sf "http://127.0.0.1:$http/readyz" >/dev/null && break; sleep 0.1; done
    sent=$("$load" ipfix "$port" "$offered" --rate "$rate" | tail -1)
    sleep 1
    spent=$(cpu_of_receiving $pid)
    python3 - "$sent" "$spent" "http://127.0.0.1:$http/api/v1/status" <<'PY'
import json, sys, time, urllib.request
sent, spent, begin = json.loads(sys.argv[1]), float(sys.argv[2]), time.time()
while True:
    status = json.load(urllib.request.urlopen(sys.argv[3]))
    ledger = status["ledger"]
    if status["journal"]["waiting_octets"] == 0 and ledger["waiting"] == 0:
        break
    time.sleep(0.2)
lost = sum(status["listeners"][0][name] for name in ("kernel_drops", "queue_drops"))
assert ledger["balanced"] and ledger["stored"] == sent["records"] - 21 * lost, ledger
print(f"{'flowgauge':22} {sent['records']:10} {sent['records_per_s']:10} {spent:10.2f} {sent['records'] / spent:12.0f} {lost:14} {time.time() - begin:8.0f} s")
PY
    kill -TERM $pid; wait $pid 2>/dev/null || true
  done
}

# Questions to the same flows, beside nfdump and DuckDB over Parquet; FLOWS=10000000 for one size.
queries() {
  local python=target/python/bin/python3
  [ -x "$python" ] || python=python3
  "$python" -c 'import duckdb, numpy' 2>/dev/null || { echo 'left out: questions beside peers need DuckDB and numpy (pip install duckdb numpy)'; return; }
  WORK=$work FLOWGAUGE_PROGRAMS=$programs "$python" -B tests/bench/queries.py
}

summaries() {
  local capture=$work/dns.pcap messages cpu
  python3 "$shared/tools/synth" --seed 5 --packets "$packets" --profile dns --out "$capture"
  messages=$("$programs/flowgauge-exporter" summary --read "$capture" --rows 0 |
    python3 -c 'import json, sys; m = json.load(sys.stdin)["metrics"]; print(m["dns.queries"]["value"] + m["dns.responses"]["value"])')
  cpu=$(least "$programs/flowgauge-exporter" summary --read "$capture")
  printf '\nSummaries: %s DNS messages with transactions and all sketches in %s CPU s: %s M a second (>= 1), %s MB (<= 200)\n' \
    "$messages" "$cpu" "$(awk "BEGIN { printf \"%.2f\", $messages / $cpu / 1e6 }")" \
    "$(most_memory "$programs/flowgauge-exporter" summary --read "$capture")"
  rm -f "$capture"
}

[ -d "$shared/tools" ] || { echo "left out: figures beside peers need the generators ($shared is not there)"; exit 0; }
for part in ${*:-exporter sending summaries collector burst rollups queries}; do "$part"; done
