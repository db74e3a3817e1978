"""Writing of our CSV tables: one line form, sorted, so that a diff shows what changed."""

import csv

COLUMNS = ["pen", "id", "name", "type", "semantics", "units", "status", "range", "reversible"]


def field(text):
    text = str(text)
    if "," in text or '"' in text or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def write(path, comments, columns, rows):
    lines = ["# " + comment for comment in comments]
    lines.append(",".join(columns))
    lines += [",".join(field(cell) for cell in row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_elements(path, comments, elements):
    """elements: dicts with the keys of COLUMNS; absent is empty."""
    rows = [[element.get(column, "") for column in COLUMNS] for element in elements]
    write(path, comments, COLUMNS, rows)


def read(path):
    """The rows of one of our own tables, as dicts."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
