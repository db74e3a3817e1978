"""Zeek's test traces with their baselines (BSD-3): conn.log, ssl.log and quic.log rows whose addresses are kept. Zeek
cuts connections by its own timeouts, so counters of one key are added up on both sides."""

from pathlib import Path

from flows import Exporter, key, source, total, values
from table import Table

VERSIONS = {"SSLv3": 0x300, "TLSv10": 0x301, "TLSv11": 0x302, "TLSv12": 0x303, "TLSv13": 0x304, "DTLSv10": 0xFEFF, "DTLSv12": 0xFEFD, "DTLSv13": 0xFEFC}
PROTOCOLS = {"tcp": 6, "udp": 17}


def rows(path: Path) -> list:
    """Logs have a `#fields` line or, when a test cut columns out, a first line of names."""
    names: list = []
    found = []
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("#fields"):
            names = line.split("\t")[1:]
        elif line.startswith("#") or not line:
            continue
        elif not names:
            names = line.split("\t")
        else:
            found.append(dict(zip(names, line.split("\t"))))
    return found


def compare(exporter: Exporter, folder: Path, table: Table) -> None:
    done = set()
    for line in (folder / "MAP.tsv").read_text().splitlines():
        trace, baseline, logs = line.split("\t")[:3]
        capture = folder / "Traces" / trace
        if not capture.exists():
            continue
        for log in logs.split():
            kind = log.split(".")[0]
            path = folder / "Baseline" / baseline / log
            if kind not in ("conn", "ssl", "quic") or not path.exists() or (trace, kind) in done:
                continue
            all_rows = [row for row in rows(path) if {"id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"} <= set(row)]
            if not all_rows:
                table.leave_out("logs without addresses")
                continue
            done.add((trace, kind))
            COMPARE[kind](exporter.by_key(capture), all_rows, trace, table)


def flow_of(row: dict, protocol: int) -> tuple:
    return key(row["id.orig_h"], row["id.orig_p"], row["id.resp_h"], row["id.resp_p"], protocol)


def version_of(row: dict) -> int | str:
    """The number behind a name; drafts of TLS 1.3 have their own (RFC 8446 section 4.2.1)."""
    name = row["version"]
    if name.startswith("TLSv13-draft"):
        return 0x7F00 + int(name.removeprefix("TLSv13-draft"))
    return VERSIONS.get(name, name)


def where_of(row: dict) -> str:
    return f"{row['id.orig_h']} {row['id.orig_p']} {row['id.resp_h']} {row['id.resp_p']}"


def compare_conn(ours: dict, all_rows: list, trace: str, table: Table) -> None:
    theirs: dict = {}
    for row in all_rows:
        name = row.get("proto", "-")
        protocol = PROTOCOLS.get(name) or (58 if ":" in row["id.orig_h"] else 1) if name == "icmp" or name in PROTOCOLS else None
        if protocol is None and row.get("ip_proto", "-").isdigit():
            protocol = int(row["ip_proto"])
        if protocol is None:
            table.leave_out("connections without a protocol")
            continue
        theirs.setdefault(flow_of(row, protocol), []).append(row)
    for flow, of_it in theirs.items():
        found = ours.get(flow, []) if flow[4] in (1, 6, 17, 58) else without_ports(ours, flow)
        table.compare(trace, "connection", where_of(of_it[0]), True, bool(found))
        if not found or not {"orig_ip_bytes", "orig_pkts"} <= set(of_it[0]):
            continue
        forward = source(of_it[0]["id.orig_h"], of_it[0]["id.orig_p"], flow[4])
        sums = [0, 0, 0, 0]
        for row in of_it:
            counts = [int(row[name]) if row[name] != "-" else 0 for name in ("orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes")]
            same = source(row["id.orig_h"], row["id.orig_p"], flow[4]) == forward
            sums = [a + b for a, b in zip(sums, counts if same else counts[2:] + counts[:2])]
        ours_of_it = total(found, next((flow_.source for flow_ in found if flow_.source[0] == forward[0]), forward))
        for name, value, our in zip(("packets", "octets", "packets back", "octets back"), sums, ours_of_it):
            table.compare(trace, name, where_of(of_it[0]), value, our)


def without_ports(ours: dict, flow: tuple) -> list:
    """Zeek reads no ports of SCTP and others: all biflows between the two hosts count."""
    return [found for key_, list_ in ours.items() if (key_[0], key_[2], key_[4]) == (flow[0], flow[2], flow[4]) for found in list_]


def compare_ssl(ours: dict, all_rows: list, trace: str, table: Table) -> None:
    seen: dict = {}
    for row in all_rows:
        for protocol in (6, 17):
            if flow_of(row, protocol) in ours:
                seen.setdefault(flow_of(row, protocol), []).append(row)
                break
        else:
            table.compare(trace, "TLS connection", where_of(row), True, False)
    for flow, of_it in seen.items():
        found, where = ours[flow], where_of(of_it[0])
        versions = {version_of(row) for row in of_it if row.get("version", "-") != "-"}
        if versions:
            table.compare(trace, "TLS version", where, versions, values(found, "tlsVersion"))
        names = {row["server_name"] for row in of_it if row.get("server_name", "-") != "-"}
        if names:
            table.compare(trace, "SNI", where, names, values(found, "tlsServerName"))


def compare_quic(ours: dict, all_rows: list, trace: str, table: Table) -> None:
    for row in all_rows:
        found, where = ours.get(flow_of(row, 17), []), where_of(row)
        versions = {"1": 1, "quicv2": 0x6B3343CF}
        table.compare(trace, "QUIC version", where, {versions.get(row["version"], row["version"])}, values(found, "quicVersion"))
        if row.get("server_name", "-") != "-":
            table.compare(trace, "SNI in QUIC", where, {row["server_name"]}, values(found, "tlsServerName"))


COMPARE = {"conn": compare_conn, "ssl": compare_ssl, "quic": compare_quic}
