"""Filters made up at random: how they are written, and what they mean, said as plainly as possible in Python and in SQL.

What they mean is taken from docs/reference/filter.md. A row without a value answers no to every comparison with it.
"""

import ipaddress
import re
from operator import eq, ge, gt, le, lt, ne

from rows import KINDS, MAPPED, MS, network_of, text_of

OPERATORS = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
LETTERS = "FSRPAUEW"
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
# A value of a protocol may be written by its name too, and the registry's name of ICMPv6 is another one.
CODES = {1: "icmp", 6: "tcp", 17: "UDP"}
MULTIPLES = {"k": 1000, "M": 1000 ** 2, "Ki": 1024, "KiB": 1024, "Mi": 1024 ** 2}


class Filter:
    """A filter: `text` as asked, `fits(row)`, and `sql`, which is never NULL."""

    def __init__(self, text, fits, sql):
        self.text, self.fits, self.sql = text, fits, sql

    def __repr__(self):
        return repr(self.text)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def test(text, columns, holds, sql):
    """Absent columns answer no."""
    def fits(row):
        values = [row.get(column) for column in columns]
        return None not in values and bool(holds(*values))
    return Filter(text, fits, f"coalesce({sql}, false)")


def name(column):
    return '"' + column + '"'


class Generator:
    """Makes filters about values that rows have, so that most of them find something and few find everything."""

    def __init__(self, rng, rows):
        self.rng, self.rows = rng, rows
        self.values = {column: [row[column] for row in rows if column in row] for column in KINDS}
        self.values = {column: values for column, values in self.values.items() if values}

    def columns(self, *kinds):
        return [column for column in self.values if KINDS[column] in kinds]

    def value(self, column):
        return self.rng.choice(self.values[column])

    def filter(self, depth=3):
        if depth == 0 or self.rng.random() < 0.35:
            return self.rng.choices(
                [self.numbers, self.addresses, self.texts, self.flags, self.sets, self.columns_compared, self.exists, self.short, self.times],
                [4, 4, 3, 2, 3, 3, 1, 6, 2])[0]()
        word = self.rng.choice(["and", "or", "not", "and", "or"])
        if word == "not":
            inner = self.filter(depth - 1)
            sign = self.rng.choice(["not ", "NOT ", "!", "! "])
            return Filter(f"{sign}({inner.text})", lambda row: not inner.fits(row), f"(not {inner.sql})")
        parts = [self.filter(depth - 1) for _ in range(self.rng.choice([2, 2, 3]))]
        sign = self.rng.choice({"and": ["and", "AND", "&&"], "or": ["or", "Or", "||"]}[word])
        every = all if word == "and" else any
        return Filter(f" {sign} ".join(f"({part.text})" for part in parts), lambda row: every(part.fits(row) for part in parts),
                      "(" + f" {word} ".join(part.sql for part in parts) + ")")

    def literal(self, column):
        """A value of a column, or one close to it, and how it may be written."""
        value = self.value(column)
        match KINDS[column]:
            case "number":
                if column == "proto" and value in CODES and self.rng.random() < 0.5:
                    return value, CODES[value]
                if column in ("octets", "rev.octets") and self.rng.random() < 0.4:
                    unit, scale = self.rng.choice(list(MULTIPLES.items()))
                    tenths = max(1, value * 10 // scale)
                    # What is left of a multiple must be a whole number.
                    if tenths * scale % 10 == 0:
                        return tenths * scale // 10, f"{tenths // 10}.{tenths % 10}{unit}" if tenths % 10 else f"{tenths // 10}{unit}"
                value = max(0, value + self.rng.choice([0, 0, 0, -1, 1]))
                return value, self.rng.choice([str(value), str(value), hex(value)])
            case "duration":
                value = max(0, value + self.rng.choice([0, 0, -1000, 1000, MS]))
                if value % MS == 0:
                    ms = value // MS
                    return value, self.rng.choice([f"{ms}ms", f"{ms // 1000}.{ms % 1000:03}s", f"{ms // 1000}s{ms % 1000}ms"])
                return value, self.rng.choice([f"{value // 1000}us", f"{value}ns", f"{value // MS}.{value % MS:06}ms"])
            case "time":
                value += self.rng.choice([0, 0, -MS, MS, 1])
                seconds, ns = divmod(value, 10 ** 9)
                return value, f"{seconds}.{ns:09}"
            case "ip":
                return value, text_of(value)
            case "text":
                return value, f'"{value}"'
            case "flags":
                letters = "".join(letter for at, letter in enumerate(LETTERS) if value >> at & 1)
                return value, self.rng.choice([letters, letters[::-1].lower(), str(value)]) if letters else "0"

    def compare(self, column):
        sign = self.rng.choice(list(OPERATORS))
        value, written = self.literal(column)
        sql = quoted(value) if KINDS[column] == "text" else str(value)
        blank = self.rng.choice([" ", " ", ""])
        return test(f"{column}{blank}{sign}{blank}{written}", [column], lambda have: OPERATORS[sign](have, value),
                    f"{name(column)} {sign} {sql}")

    def numbers(self):
        return self.compare(self.rng.choice(self.columns("number", "duration")))

    def times(self):
        return self.compare(self.rng.choice(self.columns("time")))

    def network(self, column):
        value = self.value(column)
        longest = 32 if value >> 32 == 0xFFFF else 128
        network = ipaddress.ip_network(network_of(value, self.rng.choice([longest // 4, longest // 2, longest * 3 // 4, longest - 3, longest])))
        first, last = int(network[0]), int(network[-1])
        if network.version == 4:
            first, last = first | MAPPED, last | MAPPED
        return first, last, str(network)

    def inside(self, text, columns, first, last, outside=False):
        """Any of the columns within; or, outside, each there and without."""
        tests = [test(text, [column], lambda have: (first <= have <= last) != outside,
                      f"({name(column)} {'not ' if outside else ''}between {first} and {last})") for column in columns]
        joined, word = (all, " and ") if outside else (any, " or ")
        return Filter(text, lambda row: joined(each.fits(row) for each in tests), "(" + word.join(each.sql for each in tests) + ")")

    def addresses(self):
        column = self.rng.choice(self.columns("ip"))
        if self.rng.random() < 0.4:
            return self.compare(column)
        first, last, network = self.network(column)
        sign = self.rng.choice(["in", "=", "!=", "IN"])
        return self.inside(f"{column} {sign} {network}", [column], first, last, sign == "!=")

    def sets(self):
        column = self.rng.choice(self.columns("number", "ip", "text", "duration", "flags"))
        literals = [self.literal(column) for _ in range(self.rng.randrange(1, 6))]
        wanted, written = {value for value, _ in literals}, [text for _, text in literals]
        if KINDS[column] == "ip" and self.rng.random() < 0.5:
            first, last, network = self.network(column)
            written.append(network)
            sql = f"({name(column)} in ({', '.join(map(str, wanted))}) or {name(column)} between {first} and {last})"
            return test(f"{column} in ({', '.join(written)})", [column], lambda have: have in wanted or first <= have <= last, sql)
        values = ", ".join(quoted(value) if isinstance(value, str) else str(value) for value in wanted)
        return test(f"{column} in ({','.join(written)})", [column], lambda have: have in wanted, f"{name(column)} in ({values})")

    def texts(self):
        texts = self.columns("text")
        if not texts:
            return self.numbers()
        column = self.rng.choice(texts)
        value = self.value(column)
        form = self.rng.choice(["compare", "part", "glob", "regex"])
        if form == "compare":
            return self.compare(column)
        begin = self.rng.randrange(len(value))
        part = value[begin:begin + self.rng.randrange(1, 9)]
        if form == "part":
            part = part.replace("*", "").replace("?", "") or "a"
            written = self.rng.choice([part, part.upper(), part.lower()])
            return test(f'{column} ~ "{written}"', [column], lambda have: part.lower() in have.lower(),
                        f"contains(lower({name(column)}), {quoted(part.lower())})")
        if form == "glob":
            glob = self.rng.choice([f"*{value[begin:]}", f"{value[:begin + 1]}*", f"*{part}*", value.replace(value[begin], "?"), value])
            expression = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in glob)
            if "*" not in glob and "?" not in glob:     # then it is a part
                expression = f".*{expression}.*"
            pattern = re.compile(expression, re.IGNORECASE | re.DOTALL)
            return test(f"{column} ~ '{self.rng.choice([glob, glob.upper()])}'", [column], pattern.fullmatch,
                        f"regexp_full_match({name(column)}, {quoted(expression)}, 'is')")
        expression = self.rng.choice(["^" + re.escape(value[:4]), re.escape(value[-4:]) + "$", "[0-9]{2,}", "^(www|mail|static|api)[.]",
                                      "[aeiou][^aeiou]{3}", f"{re.escape(part)}|^$"]).replace("\\-", "-")
        return test(f"{column} ~ /{expression.replace('/', chr(92) + '/')}/", [column], re.compile(expression).search,
                    f"regexp_matches({name(column)}, {quoted(expression)})")

    def flags(self):
        column = self.rng.choice(self.columns("flags"))
        if self.rng.random() < 0.4:
            return self.compare(column)
        letters = self.rng.sample(LETTERS[:5], self.rng.randrange(1, 4))
        mask = sum(1 << LETTERS.index(letter) for letter in letters)
        return test(f"{column} ~ {''.join(letters)}", [column], lambda have: have & mask == mask, f"({name(column)} & {mask}) = {mask}")

    def columns_compared(self):
        kind = self.rng.choice(["number", "number", "duration", "time", "ip", "text"])
        choices = self.columns(kind)
        left, right = self.rng.choice([("octets", "rev.octets"), ("packets", "rev.packets"), ("src.port", "dst.port")] + [
            (self.rng.choice(choices), self.rng.choice(choices))] * 2) if len(choices) > 1 else ("octets", "rev.octets")
        sign = self.rng.choice(list(OPERATORS))
        return test(f"{left} {sign} {right}", [left, right], OPERATORS[sign], f"{name(left)} {sign} {name(right)}")

    def exists(self):
        column = self.rng.choice(list(self.values))
        return Filter(f"{column} {self.rng.choice(['exists', 'EXISTS'])}", lambda row: column in row, f"({name(column)} is not null)")

    def short(self):
        """The words of tcpdump and nfdump: of either end, unless one is named."""
        end = self.rng.choice(["", "", "src ", "dst "])
        ends = {"": ["src", "dst"], "src ": ["src"], "dst ": ["dst"]}[end]
        form = self.rng.choice(["host", "net", "port", "not port", "ports", "portrange", "proto", "version", "bare", "protocol and port"])
        addresses, ports = [f"{at}.ip" for at in ends], [f"{at}.port" for at in ends]
        port = self.value("dst.port")
        match form:
            case "host":
                value = self.value(self.rng.choice(addresses))
                return self.inside(f"{end}host {text_of(value)}", addresses, value, value)
            case "net":
                first, last, network = self.network(self.rng.choice(addresses))
                return self.inside(f"{end}net {network}", addresses, first, last)
            case "port":
                return self.inside(f"{end}port {port}", ports, port, port)
            case "not port":
                return self.inside(f"{end}port != {port}", ports, port, port, True)
            case "ports":
                wanted = sorted({port, self.value("dst.port"), 53})
                parts = [self.inside("", ports, each, each) for each in wanted]
                return Filter(f"{end}port in ({', '.join(map(str, wanted))})", lambda row: any(part.fits(row) for part in parts),
                              "(" + " or ".join(part.sql for part in parts) + ")")
            case "portrange":
                last = min(65535, port + self.rng.randrange(2000))
                return self.inside(f"{end}portrange {port}-{last}", ports, port, last)
            case "proto":
                protocol = self.rng.choice(list(PROTOCOLS))
                text = self.rng.choice([PROTOCOLS[protocol], f"proto {CODES.get(protocol, protocol)}", f"proto {protocol}"])
                return self.inside(text, ["proto"], protocol, protocol)
            case "version":
                version = self.rng.choice([4, 6])
                return self.inside({4: "ip", 6: "ip6"}[version], ["ip.version"], version, version)
            case "bare":
                value = self.value("src.ip")
                return self.inside(text_of(value), ["src.ip", "dst.ip"], value, value)
        protocol = self.rng.choice([6, 17])
        inner, version = self.inside("", ports, port, port), self.inside("", ["proto"], protocol, protocol)
        return Filter(f"{PROTOCOLS[protocol]} {end}port {port}", lambda row: version.fits(row) and inner.fits(row),
                      f"({version.sql} and {inner.sql})")
