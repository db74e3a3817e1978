#!/usr/bin/env bash
# Both programs at once: the collector with its store, the exporter over a sample capture and live on loopback traffic,
# a first answer from the API, checked against what is known to be in the capture.
#   tests/demo.sh [--once]
set -euo pipefail
cd "$(dirname "$0")/.."
once=; [ "${1:-}" = --once ] && once=yes
programs=${FLOWGAUGE_PROGRAMS:-target/debug}
work=$(mktemp -d)
pids=()
finish() {
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
http=8080
python3 -c 'import socket; socket.create_server(("127.0.0.1", 8080)).close()' 2>/dev/null || http=$(free_port)
url=http://127.0.0.1:$http

"$programs/flowgauge-collector" run --listen "udp://127.0.0.1:$port" --listen "tcp://127.0.0.1:$port" \
  --http "127.0.0.1:$http" --data "$work/store" 2>"$work/collector.log" &
pids+=($!)
for _ in $(seq 100); do curl -sf "$url/readyz" >/dev/null && break; sleep 0.1; done
curl -sf "$url/readyz" >/dev/null || { echo "demo: the collector did not start:"; cat "$work/collector.log"; exit 1; }
echo "collector: listens on udp and tcp 127.0.0.1:$port, page and API on $url"

"$programs/flowgauge-exporter" run --read fixtures/office.pcap --to "tcp://127.0.0.1:$port" \
  --idle-timeout 1d --active-timeout 1d 2>"$work/exporter.log" || { cat "$work/exporter.log"; exit 1; }
echo "exporter:  fixtures/office.pcap: $(grep -oE '[0-9]+ packets seen.*' "$work/exporter.log" | head -1)"

ask() { curl -sf -G "$url/api/v1/aggregate" --data-urlencode "filter=$1" --data-urlencode 'metrics=flows,total.packets,total.octets' "${@:2}"; }
known=$(python3 -c '
import json
t = json.load(open("fixtures/office.json"))["totals"]
print(t["biflows"], t["packets"], t["octets"])')
read -r flows packets octets <<<"$known"
office='net 192.0.2.0/24 or net 2001:db8::/32'
for _ in $(seq 100); do
  answer=$(ask "$office")
  found=$(python3 -c 'import json, sys; r = json.loads(sys.argv[1])["rows"][0]; print(int(r["flows"]), int(r["total.packets"]), int(r["total.octets"]))' "$answer")
  [ "$found" = "$known" ] && break
  sleep 0.1
done
echo
echo "first answer: GET /api/v1/aggregate?metrics=flows,total.packets,total.octets"
echo "  $answer"
if [ "$found" != "$known" ]; then
  echo "demo: wrong: the capture has $flows biflows, $packets packets and $octets octets"
  exit 1
fi
echo "  right: the capture has $flows biflows, $packets packets and $octets octets"
echo
"$programs/flowgauge-collector" query --url "$url" "$office" --top src.ip --by total.octets --limit 5
echo

if [ "$(id -u)" = 0 ] || getcap "$programs/flowgauge-exporter" 2>/dev/null | grep -q cap_net_raw; then
  "$programs/flowgauge-exporter" run --interface lo --filter "tcp port $http" --to "tcp://127.0.0.1:$port" \
    --idle-timeout 1s --active-timeout 5s 2>"$work/live.log" &
  pids+=($!)
  sleep 1
  for _ in $(seq 5); do curl -sf "$url/healthz" >/dev/null; done
  for _ in $(seq 80); do
    live=$(ask "dst.ip = 127.0.0.1 and dst.port = $http" | python3 -c 'import json, sys; print(int(json.load(sys.stdin)["rows"][0]["flows"] or 0))')
    [ "$live" -gt 0 ] && break
    sleep 0.1
  done
  if [ "$live" -gt 0 ]; then
    echo "live on lo: the requests to this very API are flows too: $live of them so far"
  else
    echo "demo: live capture on lo gave no flow:"; cat "$work/live.log"; exit 1
  fi
else
  echo "live on lo: left out, capturing needs root or 'setcap cap_net_raw+ep $programs/flowgauge-exporter'"
fi

[ -n "$once" ] && exit 0
echo
echo "The page: $url    (Ctrl-C ends the demo)"
while kill -0 "${pids[0]}" 2>/dev/null; do curl -sf "$url/healthz" >/dev/null || true; sleep 2; done
