"""What the truth of a capture says a store must hold: one row a biflow, by column; a column that is not there is absent.

Addresses are numbers with IPv4 within ::ffff:0:0/96, times and durations nanoseconds, as filters compare them.
"""

import functools
import ipaddress
import json

TCP, UDP = 6, 17
MS = 1_000_000
MAPPED = 0xFFFF << 32
TUNNEL_KINDS = {"vxlan": 1, "geneve": 2, "gre": 3, "ipip": 4}
TLS_VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}

# How a column is compared and shown.
KINDS = {
    **dict.fromkeys(["start", "end"], "time"),
    **dict.fromkeys(["duration", "tcp.rtt.client", "tcp.rtt.server"], "duration"),
    **dict.fromkeys(["src.ip", "dst.ip", "tunnel.src.ip", "tunnel.dst.ip", "exporter.ip"], "ip"),
    **dict.fromkeys(["tcp.flags", "rev.tcp.flags"], "flags"),
    **dict.fromkeys(["tls.sni", "http.host", "http.method", "http.path"], "text"),
    **dict.fromkeys(["src.port", "dst.port", "proto", "ip.version", "tos", "rev.tos", "octets", "packets", "rev.octets",
                     "rev.packets", "vlan", "vlan.inner", "tls.version", "http.status", "tunnel.kind", "tunnel.id"], "number"),
}


def number_of(address):
    parsed = ipaddress.ip_address(address)
    return int(parsed) | MAPPED if parsed.version == 4 else int(parsed)


def text_of(number):
    if number >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(number))


@functools.cache
def network_of(number, length):
    """The network of so many bits, counted within the family of the address."""
    version = ipaddress.IPv4Address if number >> 32 == 0xFFFF else ipaddress.IPv6Address
    address = version(number & 0xFFFFFFFF if version is ipaddress.IPv4Address else number)
    return str(ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False))


def lengths(text):
    """Bits of IPv4 and of IPv6 addresses that a group counts: both, those of IPv4 and a subnet, or one that IPv4 does not have."""
    first, _, second = text.partition("/")
    if second:
        return int(first), int(second)
    return (int(first), 64) if int(first) <= 32 else (32, int(first))


def group_of(number, text):
    short, long = lengths(text)
    return network_of(number, short if number >> 32 == 0xFFFF else long)


def shown(column, value):
    """As the API writes a value of a column."""
    return text_of(value) if value is not None and KINDS[column] == "ip" else value


def row(biflow, base_ns):
    """`base_ns` is what the milliseconds of the committed fixture count from."""
    forward, reverse = zip(biflow["packets"], biflow["octets"])
    protocol, app, handshake = biflow["proto"], biflow.get("app", {}), biflow.get("handshake_ns", {})
    # Exporters say milliseconds; what is finer is cut off.
    start, end = (biflow[f"{at}_ns"] // MS * MS if f"{at}_ns" in biflow else base_ns + biflow[f"{at}_ms"] * MS for at in ("start", "end"))
    vlans = biflow.get("vlan") or []
    vlans = [vlans] if isinstance(vlans, int) else vlans
    tunnel = biflow.get("tunnel") or {}
    flags = biflow.get("tcp_flags") or biflow.get("flags") or [0, 0]
    kind = TUNNEL_KINDS.get(tunnel.get("type"))
    cells = {
        "start": start, "end": end, "duration": end - start,
        "src.ip": number_of(biflow["src"]), "dst.ip": number_of(biflow["dst"]),
        "proto": protocol, "ip.version": 6 if ":" in biflow["src"] else 4, "tos": biflow.get("tos", 0),
        "packets": forward[0], "octets": forward[1],
        "vlan": vlans[0] if vlans else None, "vlan.inner": vlans[1] if len(vlans) > 1 else None,
        "tls.sni": app.get("tls_sni"), "tls.version": TLS_VERSIONS.get(app.get("tls_version")),
        "http.host": app.get("http_host"), "http.method": app.get("http_method"),
        "http.path": app.get("http_path"), "http.status": app.get("http_status"),
        "tunnel.kind": kind,
        # No identifier is written as 0 in the truth, and not at all by an exporter.
        "tunnel.id": tunnel.get("id") or None,
    }
    if reverse[0]:
        cells |= {"rev.packets": reverse[0], "rev.octets": reverse[1], "rev.tos": biflow.get("tos", 0)}
    if protocol in (TCP, UDP):
        cells |= {"src.port": biflow["sport"], "dst.port": biflow["dport"]}
    if protocol == TCP:
        cells["tcp.flags"] = flags[0]
        cells |= {"rev.tcp.flags": flags[1]} if reverse[0] else {}
    for end in ("client", "server"):
        if end in handshake:
            cells[f"tcp.rtt.{end}"] = handshake[end] // 1000 * 1000
    for end in ("src", "dst"):
        if end in tunnel:
            cells[f"tunnel.{end}.ip"] = number_of(tunnel[end])
    return {column: value for column, value in cells.items() if value is not None}


def read(path):
    with open(path, encoding="utf-8") as file:
        truth = json.load(file)
    return [row(biflow, truth.get("start_ns", 0)) for biflow in truth["biflows"]]
