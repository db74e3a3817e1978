"""The exporter's biflows of a capture, and a key under which both directions of a biflow are the same."""

import json
import subprocess
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

PROTOCOLS = {"ICMP": 1, "IGMP": 2, "TCP": 6, "UDP": 17, "ICMPV6": 58, "ICMP6": 58, "IPV6-ICMP": 58, "GRE": 47, "ESP": 50, "AH": 51, "OSPF": 89, "SCTP": 132, "IPV6": 41, "IPIP": 4, "VRRP": 112, "EGP": 8, "PGM": 113, "DCCP": 33}


def key(src: str, sport: int, dst: str, dport: int, protocol: int) -> tuple:
    """The same for both directions; ICMP has no ports."""
    if protocol in (1, 58):
        sport = dport = 0
    ends = sorted([(ip_address(src).exploded, int(sport or 0)), (ip_address(dst).exploded, int(dport or 0))])
    return (*ends[0], *ends[1], int(protocol))


def source(src: str, sport: int, protocol: int) -> tuple:
    """The end from which the forward direction comes."""
    return (ip_address(src).exploded, 0 if protocol in (1, 58) else int(sport or 0))


@dataclass
class Flow:
    """One record, with the counters turned so that `forward` comes from the end asked for."""

    record: dict

    @property
    def protocol(self) -> int:
        return self.record.get("protocolIdentifier", 0)

    def end(self, side: str) -> str:
        return self.record.get(f"{side}IPv4Address") or self.record.get(f"{side}IPv6Address") or "0.0.0.0"

    @property
    def ports(self) -> tuple:
        return (self.record.get("sourceTransportPort", 0), self.record.get("destinationTransportPort", 0))

    @property
    def key(self) -> tuple:
        return key(self.end("source"), self.ports[0], self.end("destination"), self.ports[1], self.protocol)

    @property
    def source(self) -> tuple:
        return source(self.end("source"), self.ports[0], self.protocol)

    def counters(self, from_end: tuple) -> list:
        """packets, octets, packets back, octets back, seen from that end."""
        names = ["packetDeltaCount", "octetDeltaCount", "reversePacketDeltaCount", "reverseOctetDeltaCount"]
        values = [self.record.get(name, 0) for name in names]
        return values if from_end == self.source else values[2:] + values[:2]


class Exporter:
    """Runs the exporter once a capture; timeouts are longer than any of them."""

    def __init__(self, program: Path):
        self.program = program
        self.read: dict = {}

    def flows(self, capture: Path) -> list:
        if capture not in self.read:
            command = [self.program, "run", "--read", capture, "--to", "json:-", "--quiet"]
            command += ["--active-timeout", "1000d", "--idle-timeout", "1000d"]
            run = subprocess.run(command, capture_output=True, text=True, timeout=120, env={"PATH": "/usr/bin:/bin"})
            lines = [json.loads(line) for line in run.stdout.splitlines()]
            self.read[capture] = [Flow(line) for line in lines if "packetDeltaCount" in line]
        return self.read[capture]

    def by_key(self, capture: Path) -> dict:
        keyed: dict = {}
        for flow in self.flows(capture):
            keyed.setdefault(flow.key, []).append(flow)
        return keyed


def total(flows: list, from_end: tuple) -> list:
    """Counters of several records of one key together."""
    sums = [0, 0, 0, 0]
    for flow in flows:
        sums = [a + b for a, b in zip(sums, flow.counters(from_end))]
    return sums


def values(flows: list, name: str) -> set:
    """What the records of one key say under an element's name; absent and empty are the same."""
    return {flow.record[name] for flow in flows if flow.record.get(name) not in (None, "")}
