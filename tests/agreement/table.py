"""Counts what agrees and keeps what does not, with its reason."""

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Reason:
    """Why a value differs: `case` and `what` are shell patterns."""

    set: str
    case: str
    what: str
    text: str

    def explains(self, difference) -> bool:
        return self.set == difference.set and fnmatchcase(difference.case, self.case) and fnmatchcase(difference.what, self.what)


@dataclass(frozen=True)
class Difference:
    set: str
    case: str
    what: str
    where: str
    theirs: object
    ours: object
    reason: Reason | None

    def __str__(self) -> str:
        said = f": {self.reason.text}" if self.reason else ""
        return f"{self.set}/{self.case} {self.what} of {self.where}: theirs {self.theirs!r}, ours {self.ours!r}{said}"


class Table:
    """One set: values compared and agreed, by what they are."""

    def __init__(self, name: str, about: str, reasons: list):
        self.name, self.about, self.reasons = name, about.strip(), reasons
        self.cases: dict = {}
        self.compared, self.agreed = Counter(), Counter()
        self.differences: list = []
        self.left_out: Counter = Counter()

    def case(self, name: str) -> None:
        """Begins a case, which counts even when nothing in it can be compared."""
        self.cases.setdefault(name, [0, 0])

    def compare(self, case: str, what: str, where: str, theirs, ours) -> None:
        self.case(case)
        self.compared[what] += 1
        self.cases[case][0] += 1
        if theirs == ours:
            self.agreed[what] += 1
            self.cases[case][1] += 1
            return
        difference = Difference(self.name, case, what, where, theirs, ours, None)
        reason = next((reason for reason in self.reasons if reason.explains(difference)), None)
        self.differences.append(Difference(self.name, case, what, where, theirs, ours, reason))

    def leave_out(self, why: str, count: int = 1) -> None:
        """Something expected that is not compared at all."""
        self.left_out[why] += count

    def summary(self) -> str:
        return f"{self.name}: {len(self.cases)} cases, {self.compared.total()} values compared, {self.agreed.total()} agree"


class Tables:
    def __init__(self, reasons: list):
        self.reasons = reasons
        self.all: list = []

    def begin(self, name: str, about: str) -> Table:
        self.all.append(Table(name, about, self.reasons))
        return self.all[-1]

    def unexplained(self) -> list:
        return [difference for table in self.all for difference in table.differences if not difference.reason]

    def unused(self) -> list:
        used = {difference.reason for table in self.all for difference in table.differences}
        return [reason for reason in self.reasons if reason not in used]

    def page(self) -> str:
        parts = [INTRODUCTION]
        for table in self.all:
            parts.append(section(table))
        return "\n".join(parts)


INTRODUCTION = """# Agreement with other flow meters

The exporter reads captures that other projects keep with the results they expect, and the two are compared value by
value. `make agreement` makes this page; the suite checks that it still holds. A difference without a reason below fails.
Octets are IP lengths here; where a project counts frames, octets are not compared.
"""


def section(table: Table) -> str:
    lines = [f"## {table.name}", "", " ".join(table.about.split()), ""]
    lines.append(f"{len(table.cases)} cases, {table.compared.total()} values, {table.agreed.total()} agree.")
    lines += ["", "| value | compared | agree |", "|---|--:|--:|"]
    lines += [f"| {what} | {count} | {table.agreed[what]} |" for what, count in sorted(table.compared.items())]
    if table.differences:
        lines += ["", "| differs | where | values | why |", "|---|---|--:|---|"]
        by_reason: dict = {}
        for difference in table.differences:
            by_reason.setdefault(difference.reason, []).append(difference)
        for reason, differences in by_reason.items():
            whats = ", ".join(sorted({difference.what for difference in differences}))
            cases = sorted({difference.case for difference in differences})
            shown = ", ".join(cases[:4]) + (f" and {len(cases) - 4} more" if len(cases) > 4 else "")
            lines.append(f"| {whats} | {shown} | {len(differences)} | {reason.text if reason else '**not explained**'} |")
    if table.left_out:
        lines += ["", "Not compared: " + "; ".join(f"{why} ({count})" for why, count in sorted(table.left_out.items())) + "."]
    return "\n".join(lines) + "\n"
