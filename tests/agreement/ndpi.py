"""nDPI's regression captures and results (LGPL-3, read in place): packets of each flow and the names found in it. nDPI
counts frames, so octets are not compared; it cuts flows by its own timeouts, so packets of one key are added up."""

import re
from pathlib import Path

from flows import PROTOCOLS, Exporter, key, source, total, values
from table import Table

LINE = re.compile(r"^\t\d+\t(?P<protocol>\S+) (?P<src>\S+):(?P<sport>\d+) <?-> (?P<dst>\S+):(?P<dport>\d+) (?P<rest>\[.*)$")
PACKETS = re.compile(r"\[(\d+) pkts/\d+ bytes <?-> (\d+) pkts/\d+ bytes\]")
VERSIONS = {"SSLv3": 0x300, "TLSv1": 0x301, "TLSv1.1": 0x302, "TLSv1.2": 0x303, "TLSv1.3": 0x304, "DTLSv1.0": 0xFEFF, "DTLSv1.2": 0xFEFD}


def field(rest: str, name: str) -> str | None:
    found = re.search(rf"\[{re.escape(name)}: ([^\]]*)\]", rest)
    return found[1] if found else None


def compare(exporter: Exporter, folder: Path, table: Table) -> None:
    for path in sorted((folder / "result").glob("*.out")):
        case = path.name.removesuffix(".out")
        capture = folder / "pcap" / case
        if not capture.exists():
            table.leave_out("results without a capture")
            continue
        theirs: dict = {}
        for line in path.read_text(errors="replace").splitlines():
            found = LINE.match(line)
            if not found:
                continue
            name = found["protocol"].upper()
            protocol = PROTOCOLS.get(name) or (int(name) if name.isdigit() else None)
            if protocol is None:
                table.leave_out(f"flows of protocol {name}")
                continue
            src, dst = found["src"].strip("[]"), found["dst"].strip("[]")
            flow = key(src, found["sport"], dst, found["dport"], protocol)
            theirs.setdefault(flow, []).append((source(src, found["sport"], protocol), found["rest"]))
        if theirs:
            table.case(case)
            compare_flows(exporter.by_key(capture), theirs, case, table)


def compare_flows(ours: dict, theirs: dict, case: str, table: Table) -> None:
    for flow, rows in theirs.items():
        found, where = ours.get(flow, []), f"{flow[0]} {flow[1]} {flow[2]} {flow[3]} {flow[4]}"
        table.compare(case, "flow", where, True, bool(found))
        if not found:
            continue
        forward = rows[0][0]
        sums = [0, 0]
        for start, rest in rows:
            counts = [int(count) for count in PACKETS.search(rest).groups()]
            sums = [a + b for a, b in zip(sums, counts if start == forward else counts[::-1])]
        packets, _, back, _ = total(found, forward)
        table.compare(case, "packets", where, sums, [packets, back])
        compare_names(rows, found, where, case, table)


def compare_names(rows: list, found: list, where: str, case: str, table: Table) -> None:
    for _, rest in rows:
        named = re.search(r"\[proto: [\d.]+/([^\]]*)\]", rest)
        proto = named[1] if named else "Unknown"
        name = field(rest, "Hostname/SNI")
        if name and proto.split(".")[0] in ("TLS", "QUIC"):
            table.compare(case, "SNI", where, True, name.lower() in {said.lower() for said in values(found, "tlsServerName")} or sorted(values(found, "tlsServerName")) or name)
        if name and proto.split(".")[0] == "HTTP":
            said = {host.lower() for host in values(found, "httpRequestHost")}
            table.compare(case, "HTTP host", where, True, any(name.lower().split(":")[0] == host.split(":")[0] for host in said) or sorted(said) or name)
        agent = field(rest, "User-Agent")
        if agent and proto.split(".")[0] == "HTTP":
            table.compare(case, "HTTP user agent", where, {agent}, values(found, "httpUserAgent"))
        status = field(rest, "StatusCode")
        if status and status != "0":
            table.compare(case, "HTTP status", where, {int(status)}, values(found, "httpStatusCode"))
        version = re.search(r"\[((?:D?TLS|SSL)v[\d.]+)\]", rest)
        if version and version[1] in VERSIONS:
            table.compare(case, "TLS version", where, {VERSIONS[version[1]]}, values(found, "tlsVersion"))
