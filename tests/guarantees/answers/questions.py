"""Questions made up at random about flows."""

from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from filters import Filter

S = 10 ** 9
GROUPS = ["src.ip", "dst.ip", "src.ip/8", "src.ip/24", "dst.ip/16", "dst.ip/48", "src.ip/0", "dst.ip/30", "src.ip/16/48", "dst.ip/32/0", "src.port", "dst.port", "proto",
          "ip.version", "vlan", "vlan.inner", "tos", "tcp.flags", "rev.tcp.flags", "tls.sni", "http.host", "http.method", "http.status",
          "tls.version", "tunnel.kind", "tunnel.src.ip", "packets", "duration"]
FUNCTIONS = {
    "unique": ["src.ip", "dst.ip", "src.port", "dst.port", "proto", "tls.sni", "http.host", "octets", "duration", "tunnel.kind"],
    "sum": ["octets", "rev.packets", "duration", "tcp.rtt.server", "dst.port"],
    "min": ["octets", "duration", "tcp.rtt.client", "start", "rev.octets"],
    "max": ["packets", "duration", "tcp.rtt.server", "end", "src.port"],
    "avg": ["octets", "packets", "tcp.rtt.server", "duration", "rev.octets"],
    **dict.fromkeys(["p50", "p90", "p95", "p99"], ["octets", "duration", "tcp.rtt.server", "tcp.rtt.client", "rev.packets", "src.port"]),
}
PLAIN = ["octets", "packets", "flows", "bps", "pps", "fps", "rev.octets", "rev.packets", "rev.bps", "rev.pps", "total.octets", "total.packets",
         "total.bps", "total.pps"]

WIDTHS = [S // 2, S, 7 * S, 10 * S, 60 * S, 600 * S]
MOST_BUCKETS = 100

RATIOS = ["octets/packets", "rev.octets/octets", "sum(tcp.rtt.server)/flows", "unique(dst.ip)/flows", "bps/pps", "max(octets)/min(octets)"]
SHARES = ["share(octets)", "share(flows)", "share(rev.packets)", "share(bps)", "share(sum(duration))"]
# With their length: the time right before, or so much earlier.
COMPARED = {"previous": None, "10s": 10 * S, "1500ms": 1_500_000_000, "2m": 120 * S}


@dataclass
class Question:
    filter: Filter | None = None
    start: int | None = None
    end: int | None = None
    groups: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    interval: int | None = None
    limit: int = 10
    order: str | None = None
    tier: str = "raw"
    other: bool = False
    compare: str | None = None
    once: str | None = None

    def path(self):
        time = lambda ns: f"{ns // S}.{ns % S:09}"
        parameters = {
            "filter": self.filter and self.filter.text, "from": self.start and time(self.start), "to": self.end and time(self.end),
            "group_by": ",".join(self.groups), "metrics": ",".join(self.metrics), "interval": self.interval and f"{self.interval // 1_000_000}ms",
            "limit": self.limit, "order_by": self.order, "tier": self.tier,
            "other": self.other and "true", "compare": self.compare, "once": self.once,
        }
        return "/api/v1/aggregate?" + urlencode({name: value for name, value in parameters.items() if value not in (None, "", False)})

    def earlier(self):
        """The same about the time that is compared with, and how much earlier that is."""
        shift = COMPARED[self.compare] or self.end - self.start
        return replace(self, start=self.start - shift, end=self.end - shift), shift

    @property
    def order_name(self):
        return (self.order or "-" + self.metrics[0]).lstrip("-")

    @property
    def is_descending(self):
        return self.order is None or self.order.startswith("-")


def metrics(rng, columns, most=4):
    names = []
    for _ in range(rng.randrange(1, most + 1)):
        form = rng.random()
        if form < 0.15:
            names.append(rng.choice([name for name in RATIOS + SHARES if "tcp.rtt.server" not in name or "tcp.rtt.server" in columns]))
        elif form < 0.55:
            names.append(rng.choice(PLAIN))
        else:
            function = rng.choice(list(FUNCTIONS))
            names.append(f"{function}({rng.choice([column for column in FUNCTIONS[function] if column in columns])})")
    return list(dict.fromkeys(names))


def span(rng, rows):
    """Both ends of a time within that of the rows, now and then only one of them or none; in whole milliseconds or odd."""
    first, last = min(row["start"] for row in rows), max(row["end"] for row in rows)
    form = rng.choice(["none", "none", "both", "both", "both", "from", "to"])
    a, b = sorted(rng.randrange(first - 5 * S, last + 5 * S) for _ in range(2))
    if rng.random() < 0.5:
        a, b = rng.choice(rows)["start"], rng.choice(rows)["end"]
        a, b = min(a, b), max(a, b)
    start, end = (a if form in ("both", "from") else None), (b + 1 if form in ("both", "to") else None)
    return start, end


def question(rng, generator, rows):
    columns = generator.values
    asked = Question(filter=generator.filter() if rng.random() < 0.85 else None, metrics=metrics(rng, columns))
    asked.start, asked.end = span(rng, rows)
    known = [group for group in GROUPS if group.partition("/")[0] in columns]
    asked.groups = rng.sample(known, rng.choice([0, 1, 1, 1, 2, 2, 3]))
    # A column and a metric of the same name are one key of the answer.
    asked.metrics = [metric for metric in asked.metrics if metric not in asked.groups] or ["flows"]
    asked.limit = rng.choice([1, 3, 10, 10, 50, 10_000])
    if rng.random() < 0.25:
        # Some hundred rows show as much as a million.
        first, last = min(row["start"] for row in rows), max(row["end"] for row in rows)
        width = ((last if asked.end is None else asked.end) - (first if asked.start is None else asked.start)) // MOST_BUCKETS
        asked.interval = rng.choice([one for one in WIDTHS if one >= width] or WIDTHS[-1:])
        asked.limit = min(asked.limit, 10)
    if asked.groups and rng.random() < 0.6:
        sign = rng.choice(["-", ""])
        extra = metrics(rng, columns, 1)[0]
        # By networks the order is that of their text or of their addresses; neither is promised.
        by = [group for group in asked.groups if "/" not in group]
        asked.order = sign + rng.choice(asked.metrics + by + [extra] * (extra not in by))
    asked.other = bool(asked.groups) and rng.random() < 0.3
    if asked.start is not None and asked.end is not None and rng.random() < 0.4:
        asked.compare = rng.choice(list(COMPARED))
    # One exporter saw everything: counting conversations once leaves nothing out.
    asked.once = "auto" if rng.random() < 0.1 else None
    return asked
