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


def compare_row(question, row, rows, seconds):
    for name in question.metrics:
        have, want = plain(name, row.get(name)), naive.metric(name, rows, seconds)
        must(naive.is_same(name, have, want), f"{name} is {have}, not {want}, in {row}")


def compare(question, answer, rows, duck):
    found = naive.asked_about(question, rows)
    stats, shown = answer["stats"], answer["rows"]
    must(stats["rows_matched"] == len(found), f"{stats['rows_matched']} flows match, not {len(found)}")
    must(stats["error_bound"] == 0 and stats["tier"] == "flows", f"not exact: {stats}")
    first, last = ns_of(stats["from"]), ns_of(stats["to"])
    want_first = min(row["start"] for row in rows) if question.start is None else question.start
    want_last = max(row["end"] for row in rows) + 1 if question.end is None else question.end
    must((first, last) == (want_first, max(want_last, want_first + 1)), f"about {stats['from']} to {stats['to']}")
    whole = (last - first) / S
    if not question.groups:
        groups = {(): found}
    else:
        groups = naive.grouped(question, found)
        ranked(question, shown, groups, whole)
    if question.interval:
        series(question, shown, groups)
    else:
        must(question.groups or len(shown) == 1, f"{len(shown)} rows of totals")
        for row in shown:
            compare_row(question, row, groups[tuple(row.get(group) for group in question.groups)], whole)
        if duck:
            duck.check(question, groups, whole, must)


def ranked(question, shown, groups, seconds):
    """The groups are those that come first; which of equal ones come first is not promised."""
    keys = list(dict.fromkeys(tuple(row.get(group) for group in question.groups) for row in shown))
    must(all(key in groups for key in keys), "a group that is none: " + str([key for key in keys if key not in groups][:3]))
    want = min(question.limit, len(groups))
    must(len(keys) == want or question.interval, f"{len(keys)} groups, not {want}")
    must(question.interval or len(shown) == len(keys), "a group twice")
    name = question.order_name

    def key(group):
        if name in question.groups:
            value = group[question.groups.index(name)]
            return truth.number_of(value) if value is not None and truth.KINDS[name] == "ip" else value
        return naive.metric(name, groups[group], seconds)

    values = [key(group) for group in groups]
    present = sorted((value for value in values if value is not None), reverse=question.is_descending)
    # Groups without a value come last, whatever the order.
    expected = (present + [None] * values.count(None))[:want]
    have = [key(group) for group in keys]
    must(question.interval and not keys or have == expected, f"order by {name}: {have[:5]}.. instead of {expected[:5]}..")


def series(question, shown, groups):
    width = question.interval
    keys = list(dict.fromkeys(tuple(row.get(group) for group in question.groups) for row in shown)) if question.groups else [()]
    buckets = [naive.bucket(question, row) for key in keys for row in groups[key]]
    first = question.start // width if question.start is not None else min(buckets, default=None)
    last = (question.end - 1) // width if question.end is not None else max(buckets, default=first)
    count = 0 if first is None or last is None else max(0, last - first + 1)
    must(len(shown) == count * len(keys), f"{len(shown)} rows, not {count} buckets of {len(keys)} groups")
    by_bucket = {}
    for key in keys:
        for row in groups[key]:
            by_bucket.setdefault((key, naive.bucket(question, row)), []).append(row)
    for at, row in enumerate(shown):
        key, bucket = tuple(row.get(group) for group in question.groups), first + at % count
        must(ns_of(row["time"]) == bucket * width, f"bucket {row['time']} at {at}")
        compare_row(question, row, by_bucket.get((key, bucket), []), width / S)


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
