"""FoxIO's captures with JA4 fingerprints of their reference program (data under the FoxIO licence; JA4 itself BSD-3)."""

import json
from pathlib import Path

from flows import Exporter, key, values
from table import Table


def compare(exporter: Exporter, folder: Path, table: Table) -> None:
    for path in sorted((folder / "testdata").glob("*.json")):
        case = path.name.removesuffix(".json")
        capture = folder / "pcap" / case
        table.case(case)
        if not capture.exists():
            table.leave_out("captures that are not there")
            continue
        ours = exporter.by_key(capture)
        seen: dict = {}
        for stream in json.loads(path.read_text()):
            if "JA4.1" not in stream:
                continue
            is_quic = stream["JA4.1"].startswith("q")
            flow = key(stream["src"], stream["srcport"], stream["dst"], stream["dstport"], 17 if is_quic or stream["JA4.1"].startswith("d") else 6)
            seen.setdefault(flow, []).append(stream)
        for flow, streams in seen.items():
            where = f"{flow[0]} {flow[1]} {flow[2]} {flow[3]}"
            found = ours.get(flow, [])
            table.compare(case, "JA4", where, {stream["JA4.1"] for stream in streams}, values(found, "tlsClientFingerprintJa4"))
            names = {stream["domain"] for stream in streams if stream.get("domain")}
            if names:
                table.compare(case, "SNI", where, names, values(found, "tlsServerName"))
