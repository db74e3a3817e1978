"""Asks a collector that has the flows of a capture, and compares every answer with what the capture's truth says.

    python3 tests/guarantees/answers URL TRUTH --seed N --questions N

One line for each answer that is wrong, with the question; at the end how many of which kind were asked. The same seed and truth
ask the same questions. With DuckDB (pip install duckdb) it answers them as well, from the same rows.
"""

import argparse
import http.client
import json
import random
import sys
from collections import Counter
from datetime import datetime, timezone
from urllib.parse import urlsplit

import naive
import rolled
import rows as truth
from filters import Generator
from questions import S, question

try:
    from duck import Duck
except ImportError:
    Duck = None


class Wrong(Exception):
    """An answer that is not what it must be."""


class Collector:
    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)

    def ask(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200:
            raise Wrong(f"status {answer.status}: {body.get('detail')}")
        return body


def ns_of(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()
    return int(seconds) * S + int(fraction.ljust(9, "0") or 0)


def plain(column, value):
    """A cell as the truth has it: times are shown as text."""
    function, _, inner = column.rstrip(")").partition("(")
    of = inner if function in ("min", "max", "p50", "p90", "p95", "p99") else column
    return ns_of(value) if truth.KINDS.get(of) == "time" and value is not None else value


def must(condition, what):
    if not condition:
        raise Wrong(what)


def compare_row(question, row, seconds, rows, everything):
    for name in question.metrics:
        have, want = plain(name, row.get(name)), naive.value(name, rows, everything, seconds)
        must(naive.is_same(name, have, want), f"{name} is {have}, not {want}, in {row}")


class Span:
    """The flows of a time by group and bucket; `shift` is how much earlier than what was asked about it is."""

    def __init__(self, question, rows, shift=0):
        self.question, self.found = question, naive.asked_about(question, rows)
        self.groups = naive.grouped(question, self.found) if question.groups else {(): self.found}
        self.parts, self.buckets = {}, {}
        for key, of_group in self.groups.items():
            for row in of_group:
                bucket = naive.bucket(question, row, shift)
                self.parts.setdefault((key, bucket), []).append(row)
                self.buckets.setdefault(bucket, []).append((key, row))

    def of(self, bucket, key):
        """Flows of a group, in one bucket or in all."""
        return self.groups.get(key, []) if bucket is None else self.parts.get((key, bucket), [])

    def beyond(self, bucket, keys):
        """Flows of all groups but these."""
        if bucket is None:
            return [row for key, of_group in self.groups.items() if key not in keys for row in of_group]
        return [row for key, row in self.buckets.get(bucket, []) if key not in keys]


def compare(question, answer, rows, duck):
    span = Span(question, rows)
    stats = answer["stats"]
    must(stats["rows_matched"] == len(span.found) or question.compare, f"{stats['rows_matched']} flows match, not {len(span.found)}")
    must(stats["error_bound"] == 0 and stats["tier"] == "flows", f"not exact: {stats}")
    must(stats["from"] and stats["to"], f"about no time: {answer}")
    first, last = ns_of(stats["from"]), ns_of(stats["to"])
    want_first = min(row["start"] for row in rows) if question.start is None else question.start
    want_last = max(row["end"] for row in rows) + 1 if question.end is None else question.end
    must((first, last) == (want_first, max(want_last, want_first + 1)), f"about {stats['from']} to {stats['to']}")
    whole = (last - first) / S
    shown = [row for row in answer["rows"] if not row.get("_other")]
    beyond = answer["rows"][len(shown):]
    must(all(row.get("_other") for row in beyond), "everything else is not behind the groups")
    key_of = lambda row: tuple(row.get(group) for group in question.groups)
    keys = list(dict.fromkeys(map(key_of, shown))) if question.groups else [()]
    if question.groups:
        ranked(question, shown, keys, span, whole)
    must(question.groups or question.interval or len(shown) == 1, f"{len(shown)} rows of totals")
    spans = [(None, span)]
    if question.compare:
        earlier, shift = question.earlier()
        spans.append(("previous", Span(earlier, rows, shift)))
        about = stats["compare"]
        must((ns_of(about["from"]), ns_of(about["to"])) == (earlier.start, earlier.end), f"compared with {about}")
    buckets = [None]
    if question.interval:
        buckets = series(question, span, keys)
        must(len(shown) == len(buckets) * len(keys), f"{len(shown)} rows, not {len(buckets)} buckets of {len(keys)} groups")
    outside = any(one.beyond(None, keys) for _, one in spans)
    must(len(beyond) in ([len(buckets)] if question.other and outside else [0, len(buckets)] if question.other and question.compare else [0]),
         f"{len(beyond)} rows of everything else")
    has_shares = any(name.startswith("share(") for name in question.metrics)
    for at, row in enumerate(shown + beyond):
        bucket, key = buckets[at % len(buckets)], key_of(row)
        must(bucket is None or ns_of(row["time"]) == bucket * question.interval, f"bucket {row.get('time')} at {at}")
        seconds = whole if bucket is None else naive.length(question.interval, bucket, question.start, question.end) / S
        for name, one in spans:
            part = one.beyond(bucket, keys) if row.get("_other") else one.of(bucket, key)
            # Only shares are of everything.
            everything = one.beyond(bucket, ()) if has_shares else []
            compare_row(question, row[name] if name else row, seconds, part, everything)
    if duck and not question.interval:
        duck.check(question, span.groups, whole, must)


def ranked(question, shown, keys, span, seconds):
    """The groups are those that come first; which of equal ones come first is not promised."""
    groups = span.groups
    must(all(key in groups for key in keys), "a group that is none: " + str([key for key in keys if key not in groups][:3]))
    want = min(question.limit, len(groups))
    must(len(keys) == want or question.interval, f"{len(keys)} groups, not {want}")
    must(question.interval or len(shown) == len(keys), "a group twice")
    name = question.order_name

    def key(group):
        if name in question.groups:
            value = group[question.groups.index(name)]
            return truth.number_of(value) if value is not None and truth.KINDS[name] == "ip" else value
        return naive.value(name, groups[group], span.found, seconds)

    values = [key(group) for group in groups]
    present = sorted((value for value in values if value is not None), reverse=question.is_descending)
    # Groups without a value come last, whatever the order.
    expected = (present + [None] * values.count(None))[:want]
    have = [key(group) for group in keys]
    must(question.interval and not keys or have == expected, f"order by {name}: {have[:5]}.. instead of {expected[:5]}..")


def series(question, span, keys):
    """Buckets of a series: of the time asked about, or of what the groups shown have, or of everything where everything is needed."""
    width = question.interval
    everything = question.other or any(name.startswith("share(") for name in [*question.metrics, question.order_name])
    found = [bucket for key, bucket in span.parts if key in keys or everything]
    first = question.start // width if question.start is not None else min(found, default=None)
    last = (question.end - 1) // width if question.end is not None else max(found, default=first)
    return list(range(first, last + 1)) if first is not None and last is not None else []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("truth")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--questions", type=int, default=300)
    options = parser.parse_args()
    rows = truth.read(options.truth)
    rng = random.Random(options.seed)
    generator, collector = Generator(rng, rows), Collector(options.url)
    duck = Duck(rows) if Duck else None
    asked, wrong = Counter(), 0
    for number in range(options.questions):
        one = question(rng, generator, rows)
        asked["series" if one.interval else "groups" if one.groups else "totals"] += 1
        asked["some"] += any(one.filter is None or one.filter.fits(row) for row in rows)
        try:
            compare(one, collector.ask(one.path()), rows, duck if number % 2 else None)
        except Wrong as why:
            wrong += 1
            print(f"wrong: question {number} of seed {options.seed}: {one}\n  {one.path()}\n  {why}")
    questions = options.questions // 3
    of_rollups, estimates, outside = rolled.check(rng, rows, collector.ask, ns_of, Wrong, questions)
    wrong += of_rollups
    print(json.dumps({"wrong": wrong, "flows": len(rows), "duckdb": duck is not None, "rolled": questions, "estimates": estimates,
                      "outside": outside, **asked}))
    return 1 if wrong else 0


sys.exit(main())
