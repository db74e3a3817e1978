#!/usr/bin/env bash
# Writes the pages of docs/reference/ whose facts the programs know, from what the programs print, so that a test can
# hold them together. Every filter on the filter page is run on fixtures/office.pcap.
#   tests/reference.sh [FOLDER]        the pages go to docs/reference unless told otherwise
# Wants bash, python3 and the built programs, in FLOWGAUGE_PROGRAMS or target/debug.
set -euo pipefail
cd "$(dirname "$0")/.."
export out=${1:-docs/reference} programs=${FLOWGAUGE_PROGRAMS:-target/debug}
# What stands in the environment of whoever runs this is no fact about the programs; help is as wide everywhere.
for name in $(compgen -e FLOWGAUGE_ || true); do unset "$name"; done
export COLUMNS=110 LC_ALL=C.UTF-8
work=$(mktemp -d)
export work
pid=
finish() {
  [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
mkdir -p "$out"

exporter() { "$programs/flowgauge-exporter" "$@" </dev/null; }
collector() { "$programs/flowgauge-collector" "$@" </dev/null; }

# A store with the flows of the fixture, filled over TCP on loopback; what only a running collector knows is asked for.
"$programs/flowgauge-collector" run --listen udp://127.0.0.1:0 --listen tcp://127.0.0.1:0 --http 127.0.0.1:0 \
  --data "$work/flows" </dev/null >/dev/null 2>"$work/log" &
pid=$!
for _ in $(seq 200); do
  url=$(grep -oE 'http://[0-9.:]+' "$work/log" | head -1 || true)
  [ -n "$url" ] && break
  sleep 0.05
done
to=$(grep -oE 'tcp://[0-9.:]+' "$work/log" | head -1) || { cat "$work/log" >&2; exit 1; }
exporter run --read fixtures/office.pcap --to "$to" --to "file:$work/ms.ipfix" --quiet
exporter run --read fixtures/office.pcap --to "file:$work/ns.ipfix" --times nanoseconds --quiet
fetch() { python3 -c 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())' "$url$1"; }
fetch /api/openapi.json >"$work/openapi.json"
fetch /metrics >"$work/metrics"
kill -TERM "$pid"
wait "$pid"
pid=

collector columns --json >"$work/columns.ndjson"
collector elements --json >"$work/elements.ndjson"
collector decode "$work/ms.ipfix" "$work/ns.ipfix" >"$work/decoded.ndjson"
collector check --data /var/lib/flowgauge >"$work/collector.toml"
exporter run --help >"$work/exporter.help" 2>&1

python3 tests/reference.py
