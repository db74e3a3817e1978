"""Questions to rollups: what is exact is compared as such, everything else with the bounds that the answer states.

Which groups are kept, and that a flow is in the window in which it began, is in docs/explanation/rollups.md.
"""

import naive
from filters import Filter
from questions import S, Question

MINUTE = 60 * S
WIDTHS = {"rollup": MINUTE, "minute": MINUTE, "hour": 60 * MINUTE, "day": 1440 * MINUTE}
TABLES = [[], ["proto"], ["exporter.ip"], ["exporter.ip", "proto"]]
LISTS = [(["src.ip"], "octets"), (["dst.ip"], "octets"), (["src.ip", "dst.ip"], "octets"), (["dst.port"], "octets"), (["tls.sni"], "octets"),
         (["src.ip"], "rev.octets")]
ESTIMATES = ["unique(src.ip)", "unique(dst.ip)"] + [f"p{rank}(tcp.rtt.{end})" for rank in (50, 90, 95, 99) for end in ("client", "server")]
COUNTED = ["octets", "packets", "flows", "rev.octets", "rev.packets", "total.octets", "total.packets", "bps", "pps", "fps", "total.bps"]
# Bounds of estimates hold in 95 of 100 cases, those of counters always.
MOST_OUTSIDE = 0.25


def table_filter(rng, depth=2):
    """A filter over the columns of a table that is exact."""
    if depth and rng.random() < 0.5:
        left, right = table_filter(rng, depth - 1), table_filter(rng, depth - 1)
        return rng.choice([
            Filter(f"({left.text}) and ({right.text})", lambda row: left.fits(row) and right.fits(row), ""),
            Filter(f"({left.text}) or ({right.text})", lambda row: left.fits(row) or right.fits(row), ""),
            Filter(f"not ({left.text})", lambda row: not left.fits(row), ""),
        ])
    protocols = rng.sample([1, 6, 17, 58, 47], rng.randrange(1, 4))
    return rng.choice([
        Filter(f"proto in ({', '.join(map(str, protocols))})", lambda row: row["proto"] in protocols, ""),
        Filter(f"proto = {protocols[0]}", lambda row: row["proto"] == protocols[0], ""),
        Filter(f"proto != {protocols[0]}", lambda row: row["proto"] != protocols[0], ""),
        Filter(f"proto > {protocols[0]}", lambda row: row["proto"] > protocols[0], ""),
        Filter("exporter.ip = 127.0.0.1", lambda row: True, ""),
        Filter("exporter.ip in 10.0.0.0/8", lambda row: False, ""),
    ])


def question(rng, rows):
    asked = Question(tier=rng.choice(list(WIDTHS)), limit=1000)
    form = rng.choice(["table", "table", "list", "estimate"])
    if form == "table":
        asked.groups, asked.metrics = rng.choice(TABLES), rng.sample(COUNTED, rng.randrange(1, 5))
        asked.filter = table_filter(rng) if rng.random() < 0.7 else None
        if rng.random() < 0.3:
            asked.interval = rng.choice([1, 1, 2, 5]) * max(MINUTE, WIDTHS[asked.tier])
    elif form == "list":
        asked.groups, metric = rng.choice(LISTS)
        asked.metrics = [metric]
    else:
        asked.groups = []
        asked.metrics = rng.sample(ESTIMATES, rng.randrange(1, 4))
    if rng.random() < 0.6:
        first, last = min(row["start"] for row in rows), max(row["end"] for row in rows)
        asked.start, asked.end = sorted(rng.sample(range(first - MINUTE, last + MINUTE, 1_000_000), 2))
    return form, asked


def within(question, stats, rows, ns_of, must):
    """The flows that the answer is about."""
    first, last = ns_of(stats["from"]), ns_of(stats["to"])
    if question.start is not None:
        width = WIDTHS[question.tier]
        must(question.start - width < first <= question.start and question.end <= last < question.end + width,
             f"about {stats['from']} to {stats['to']}")
    return (last - first) / S, [row for row in rows if first <= row["start"] < last and (question.filter is None or question.filter.fits(row))]


def limits(row, name):
    value = row.get(name)
    return row.get(f"{name}.lower", value), row.get(f"{name}.upper", value)


def compare(question, form, answer, rows, ns_of, must):
    """How many estimates there were, and how many were beyond the bounds stated."""
    stats, shown = answer["stats"], answer["rows"]
    seconds, found = within(question, stats, rows, ns_of, must)
    groups = naive.grouped(question, found) if question.groups else {(): found}
    key_of = lambda row: tuple(row.get(group) for group in question.groups)
    if question.interval:
        width = question.interval
        for row in shown:
            begin = ns_of(row["time"])
            of_bucket = [one for one in groups.get(key_of(row), []) if begin <= one["start"] < begin + width]
            # Windows that were read beyond what was asked about count as asked about.
            ends = [ns_of(stats[end]) if question.start is not None else None for end in ("from", "to")]
            for name in question.metrics:
                want = naive.metric(name, of_bucket, naive.length(width, begin // width, *ends) / S)
                must(naive.is_same(name, row.get(name), want), f"{name} is {row.get(name)}, not {want}, in {row}")
        counted = sum(len(one) for one in groups.values())
        if "flows" in question.metrics:
            must(sum(row["flows"] for row in shown) == counted, f"{counted} flows are in no bucket or twice")
        return 0, 0
    keys = [key_of(row) for row in shown]
    must(len(set(keys)) == len(keys), "a group twice")
    if form == "table":
        must(stats["error_bound"] == 0, f"a table is not exact: {stats}")
        must(set(keys) == set(groups), f"groups {keys}, not {list(groups)}")
    if form == "list":
        missing = {key: naive.metric(question.metrics[0], one, seconds) for key, one in groups.items() if key not in keys and None not in key}
        must(len(keys) == question.limit or all(value <= stats["error_bound"] for value in missing.values()),
             f"groups of more than {stats['error_bound']} are missing")
        must(stats["confidence"] == 1, f"bounds of a list: {stats}")
    estimates = outside = 0
    for row in shown:
        for name in question.metrics:
            want = naive.metric(name, groups.get(key_of(row), []), seconds)
            lower, upper = limits(row, name)
            if form == "table":
                must(naive.is_same(name, row.get(name), want), f"{name} is {row.get(name)}, not {want}, in {row}")
            elif form == "list":
                must(lower <= want <= upper, f"{name} is {want}, beyond the bounds of {row}")
            elif want is not None:
                estimates += 1
                if not lower <= want <= upper:
                    outside += 1
                    # Twice as far as in 95 of 100 cases is once in ten thousand.
                    spread = max(upper - row[name], row[name] - lower)
                    must(not name.startswith("unique") or abs(row[name] - want) <= 3 * spread, f"{name} is {want}, far beyond the bounds of {row}")
    return estimates, outside


def check(rng, rows, ask, ns_of, wrong_type, count):
    """Wrong answers, values with bounds, and how many of those were beyond them."""
    def must(condition, what):
        if not condition:
            raise wrong_type(what)

    for row in rows:
        row["exporter.ip"] = 0xFFFF7F000001
    wrong = estimates = outside = 0
    for number in range(count):
        form, one = question(rng, rows)
        try:
            more, beyond = compare(one, form, ask(one.path()), rows, ns_of, must)
            estimates, outside = estimates + more, outside + beyond
        except wrong_type as why:
            wrong += 1
            print(f"wrong: question {number} to rollups: {one}\n  {one.path()}\n  {why}")
    if outside > MOST_OUTSIDE * estimates + 2:
        wrong += 1
        print(f"wrong: {outside} of {estimates} estimates of rollups are beyond bounds of 95 %")
    return wrong, estimates, outside
