"""What the answer to a question must be, from rows: one after the other, values and not codes."""

from rows import KINDS, group_of, shown

BOTH = {"octets": ["octets"], "packets": ["packets"], "rev.octets": ["rev.octets"], "rev.packets": ["rev.packets"],
        "total.octets": ["octets", "rev.octets"], "total.packets": ["packets", "rev.packets"]}
RATES = {"bps": ("octets", 8), "pps": ("packets", 1), "rev.bps": ("rev.octets", 8), "rev.pps": ("rev.packets", 1),
         "total.bps": ("total.octets", 8), "total.pps": ("total.packets", 1)}


def length(width, bucket, start, end):
    """What was asked about of a bucket, in nanoseconds."""
    first, last = bucket * width, (bucket + 1) * width
    return min(last, last if end is None else end) - max(first, first if start is None else start)


def metric(name, rows, seconds):
    """Sums of nothing are 0; a smallest, mean or middle value of nothing is none."""
    if name == "flows":
        return len(rows)
    if name == "fps":
        return len(rows) / seconds
    if name in BOTH:
        return sum(row.get(column, 0) for row in rows for column in BOTH[name])
    if name in RATES:
        counted, factor = RATES[name]
        return metric(counted, rows, seconds) * factor / seconds
    function, column = name.rstrip(")").split("(")
    values = sorted(row[column] for row in rows if column in row)
    match function:
        case "unique":
            return len(set(values))
        case "sum":
            return sum(values)
    if not values:
        return None
    match function:
        case "min":
            return values[0]
        case "max":
            return values[-1]
        case "avg":
            return sum(values) / len(values)
    percent = int(function[1:])
    return values[-(-percent * len(values) // 100) - 1]


def quotient(above, below):
    return None if above is None or not below else above / below


def value(name, rows, everything, seconds):
    """A metric, one for each of another, or the part of one that everything has."""
    if name.startswith("share("):
        part = name[len("share("):-1]
        return quotient(metric(part, rows, seconds), metric(part, everything, seconds))
    above, slash, below = name.partition("/")
    if slash:
        return quotient(metric(above, rows, seconds), metric(below, rows, seconds))
    return metric(name, rows, seconds)


def cut(group, row):
    """The value that a row is grouped by, as it is shown."""
    column, _, length = group.partition("/")
    value = row.get(column)
    if length and value is not None:
        return group_of(value, length)
    return shown(column, value)


def grouped(question, rows):
    groups = {}
    for row in rows:
        groups.setdefault(tuple(cut(group, row) for group in question.groups), []).append(row)
    return groups


def asked_about(question, rows):
    """Flows of a time are those that overlap it."""
    return [row for row in rows
            if (question.start is None or row["end"] >= question.start)
            and (question.end is None or row["start"] < question.end)
            and (question.filter is None or question.filter.fits(row))]


def bucket(question, row, shift=0):
    """That of the start; flows that began before the time asked about are in its first. Of earlier ones that beside which they stand."""
    if question.interval is None:
        return 0
    start = row["start"] if question.start is None else max(row["start"], question.start)
    return (start + shift) // question.interval


def is_approximate(name):
    return name in RATES or name == "fps" or name.startswith(("avg(", "share(")) or "/" in name


def is_same(name, have, want):
    if is_approximate(name) and have is not None and want is not None:
        # Means of durations are whole nanoseconds.
        column = name[4:-1] if name.startswith("avg(") and "/" not in name else None
        return abs(have - want) <= (1 if KINDS.get(column) == "duration" else 0) + 1e-9 * abs(want)
    return have == want
