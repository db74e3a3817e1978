"""ipfixprobe's own test outputs (BSD-3): CSV of its biflows, one file a plugin. It cuts flows by shorter timeouts, so
counters of one key are added up on both sides."""

import csv
from pathlib import Path

from flows import Exporter, key, source, total, values
from table import Table

CAPTURES = {"passivedns": "dns", "ssadetector": "ovpn"}
NAMES = {"TLS_SNI": "tlsServerName", "TLS_JA4": "tlsClientFingerprintJa4", "JA4": "tlsClientFingerprintJa4", "HTTP_REQUEST_HOST": "httpRequestHost"}


def rows(path: Path) -> list:
    """Files are sorted by line, so that the header is somewhere among them."""
    lines = path.read_text().splitlines()
    header = next(line for line in lines if " " in line.split(",")[0])
    names = [field.split(" ", 1)[1] for field in header.split(",")]
    return [dict(zip(names, row)) for row in csv.reader(line for line in lines if line != header)]


def compare(exporter: Exporter, folder: Path, table: Table) -> None:
    for path in sorted((folder / "outputs").iterdir()):
        table.case(path.name)
        capture = folder / "inputs" / f"{CAPTURES.get(path.name, path.name)}.pcap"
        ours = exporter.by_key(capture)
        theirs: dict = {}
        for row in rows(path):
            protocol = int(row["PROTOCOL"])
            flow = key(row["SRC_IP"], row["SRC_PORT"], row["DST_IP"], row["DST_PORT"], protocol)
            theirs.setdefault(flow, []).append(row)
        for flow, all_rows in theirs.items():
            compare_key(flow, all_rows, ours.get(flow, []), path.name, table)
        extra = len(set(ours) - set(theirs))
        table.compare(path.name, "biflows only here", "capture", 0, extra)


def compare_key(flow: tuple, rows_of_it: list, found: list, case: str, table: Table) -> None:
    first = rows_of_it[0]
    forward = source(first["SRC_IP"], first["SRC_PORT"], flow[4])
    sums = [0, 0, 0, 0]
    for row in rows_of_it:
        counts = [int(row[name]) for name in ("PACKETS", "BYTES", "PACKETS_REV", "BYTES_REV")]
        same = source(row["SRC_IP"], row["SRC_PORT"], flow[4]) == forward
        sums = [a + b for a, b in zip(sums, counts if same else counts[2:] + counts[:2])]
    where = f"{flow[0]} {flow[1]} {flow[2]} {flow[3]} {flow[4]}"
    table.compare(case, "key", where, True, bool(found))
    if not found:
        return
    for name, theirs, ours in zip(("packets", "octets", "packets back", "octets back"), sums, total(found, forward)):
        table.compare(case, name, where, theirs, ours)
    for column, element in NAMES.items():
        said = {row[column] for row in rows_of_it if row.get(column)}
        if said:
            table.compare(case, element, where, said, values(found, element))
