"""The same questions to DuckDB, so that the naive evaluator is not the only one to say what an answer must be."""

import csv
import tempfile

import duckdb

import naive
from rows import KINDS, group_of, lengths, shown

TYPES = {"ip": "uhugeint", "text": "varchar"}


def cut(group):
    column, _, length = group.partition("/")
    quoted = f'"{column}"'
    if not length:
        return quoted
    # Each family counts its own bits.
    short, long = (width - bits for width, bits in zip((32, 128), lengths(length)))
    whole = lambda bits: f"({quoted} // {1 << bits}::uhugeint * {1 << bits}::uhugeint)" if bits < 128 else f"({quoted} - {quoted})"
    return f"case when {quoted} >> 32 = 65535 then {whole(short)} else {whole(long)} end"


def metric(name, seconds):
    if name.startswith("share("):
        part = metric(name[len("share("):-1], seconds)
        # Sums over the groups, where there are groups.
        return f"({part})::double / nullif(sum({part}) over (), 0)"
    above, slash, below = name.partition("/")
    if slash:
        return f"({metric(above, seconds)})::double / nullif({metric(below, seconds)}, 0)"
    if name == "flows":
        return "count(*)"
    if name == "fps":
        return f"count(*) / {seconds!r}::double"
    if name in naive.BOTH:
        return " + ".join(f'coalesce(sum("{column}"), 0)' for column in naive.BOTH[name])
    if name in naive.RATES:
        counted, factor = naive.RATES[name]
        return f"({metric(counted, seconds)}) * {factor} / {seconds!r}::double"
    function, column = name.rstrip(")").split("(")
    quoted = f'"{column}"'
    match function:
        case "unique":
            return f"count(distinct {quoted})"
        case "sum":
            return f"coalesce(sum({quoted}), 0)"
        case "min" | "max" | "avg":
            return f"{function}({quoted})"
    return f"quantile_disc({quoted}, 0.{function[1:]})"


class Duck:
    def __init__(self, rows):
        self.connection = duckdb.connect(config={"threads": 1})
        columns = ", ".join(f'"{column}" {TYPES.get(kind, "bigint")}' for column, kind in KINDS.items())
        self.connection.execute(f"create table flows ({columns})")
        with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([row.get(column, "\0") for column in KINDS] for row in rows)
            file.flush()
            self.connection.execute(f"insert into flows select * from read_csv('{file.name}', header=false, nullstr='\0', all_varchar=true)")

    def check(self, question, groups, seconds, must):
        """What the naive evaluator found, group by group."""
        where = [question.filter.sql] if question.filter else []
        where += [f'"end" >= {question.start}'] if question.start is not None else []
        where += [f'start < {question.end}'] if question.end is not None else []
        by = [cut(group) for group in question.groups]
        sql = (f"select {', '.join(by + [metric(name, seconds) for name in question.metrics])} from flows where {' and '.join(where) or 'true'}"
               + (f" group by {', '.join(str(at + 1) for at in range(len(by)))}" if by else ""))
        found = self.connection.execute(sql).fetchall()
        everything = [row for one in groups.values() for row in one]
        must(len(found) == len(groups), f"DuckDB finds {len(found)} groups, Python {len(groups)}")
        for row in found:
            values = (value if value is None else group_of(value, group.partition("/")[2]) if "/" in group else shown(group, value)
                      for group, value in zip(question.groups, row))
            of_group = groups.get(tuple(values))
            must(of_group is not None, f"DuckDB has {row}, Python no such group")
            for name, have in zip(question.metrics, row[len(by):]):
                want = naive.value(name, of_group, everything, seconds)
                must(naive.is_same(name, have, want), f"DuckDB says {name} is {have}, Python {want}, of {row}")
