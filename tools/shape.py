"""Shape of the code in figures: how long files and functions are, and how often `dict[str, Any]` stands there.

Prints a row for each floor of the product, one for the product as a whole and one for its tests; then what is too long.
With ``--limits`` it also names each limit that the product does not keep, and fails. Migrations do not count.
"""

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tools import texts

FLOORS = ("edge", "console", "roaming", "connectors")
TESTS = "tests"
# Lengths from which a file and a function are named.
LONG_FILE, LONG_FUNCTION = 400, 60
# Lengths that nine of ten files, and nine of ten functions, keep to.
MOST_FILE_LINES, MOST_FUNCTION_LINES = 250, 20
LOOSE = "dict[str, Any]"
HEAD = f"{'':12}{'files':>6}{'lines':>8}   {'lines of a file':>17}   {'of a function':>17}   {LOOSE:>14}"
COLUMNS = f"{'':12}{'':6}{'':8}   {'median':>7}{'p90':>5}{'max':>5}   {'median':>7}{'p90':>5}{'max':>5}"


class Function(NamedTuple):
    """Function, method or inner function. `line`: of its ``def``; `length`: from there to its last line."""

    name: str
    line: int
    length: int


@dataclass(frozen=True)
class File:
    """File of Python code. `path`: from the root of the checkout; `loose`: how often `LOOSE` stands in it."""

    path: str
    length: int
    loose: int
    functions: tuple[Function, ...]


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield every function of a module, methods and inner functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last = node.end_lineno or node.lineno
            yield Function(node.name, node.lineno, last - node.lineno + 1)


def read(root: Path, folder: str) -> list[File]:
    """Measure the Python files below a folder of `root`, without its migrations."""
    found = []
    for path in sorted((root / folder).rglob("*.py")):
        name = path.relative_to(root)
        if "migrations" in name.parts:
            continue
        text = path.read_text(encoding="utf-8")
        measured = tuple(functions(ast.parse(text, filename=str(name))))
        found.append(File(name.as_posix(), len(text.splitlines()), text.count(LOOSE), measured))
    return found


def at(percent: int, lengths: Iterable[int]) -> int:
    """Return the length that so many percent of all do not exceed; 0 when there is none."""
    ordered = sorted(lengths)
    return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else 0


def file_lengths(files: Iterable[File]) -> list[int]:
    return [file.length for file in files]


def function_lengths(files: Iterable[File]) -> list[int]:
    return [function.length for file in files for function in file.functions]


def row(name: str, files: Sequence[File]) -> str:
    """Write one line of the table."""
    lengths, inner = file_lengths(files), function_lengths(files)
    spread = [f"{at(50, each):>7}{at(90, each):>5}{at(100, each):>5}" for each in (lengths, inner)]
    loose = sum(file.loose for file in files)
    return f"{name:12}{len(files):>6}{sum(lengths):>8}   {'   '.join(spread)}   {loose:>14}"


def long_files(files: Iterable[File]) -> list[str]:
    """Name the files that are too long, the longest first."""
    found = sorted((file for file in files if file.length > LONG_FILE), key=lambda file: -file.length)
    return [f"{file.path} ({file.length})" for file in found]


def long_functions(files: Iterable[File]) -> list[str]:
    """Name the functions that are too long, the longest first."""
    every = ((file.path, function) for file in files for function in file.functions)
    found = sorted(
        (pair for pair in every if pair[1].length > LONG_FUNCTION), key=lambda pair: -pair[1].length
    )
    return [f"{path}:{function.line} {function.name} ({function.length})" for path, function in found]


def loose_folders(files: Iterable[File]) -> list[str]:
    """Name the folders in which `LOOSE` stands, the fullest first."""
    counts = Counter[str]()
    for file in files:
        counts[Path(file.path).parent.as_posix()] += file.loose
    return [f"{folder} ({count})" for folder, count in counts.most_common() if count]


def broken(files: Sequence[File]) -> Iterator[str]:
    """Yield a sentence for each limit that is not kept."""
    if too_long := long_files(files):
        yield f"No file may have more than {LONG_FILE} lines. Split {', '.join(too_long)}."
    for kind, most, lengths in (
        ("files", MOST_FILE_LINES, file_lengths(files)),
        ("functions", MOST_FUNCTION_LINES, function_lengths(files)),
    ):
        if (length := at(90, lengths)) > most:
            yield f"Nine of ten {kind} must have at most {most} lines; they have up to {length}. Split the longest."


def report(floors: dict[str, list[File]], tests: Sequence[File]) -> Iterator[str]:
    """Yield the lines that are printed."""
    product = [file for files in floors.values() for file in files]
    yield HEAD
    yield COLUMNS
    for name, files in floors.items():
        yield row(name, files)
    yield row("the product", product)
    yield row(TESTS, tests)
    for title, names in (
        (f"Files of the product over {LONG_FILE} lines", long_files(product)),
        (f"Functions of the product over {LONG_FUNCTION} lines", long_functions(product)),
        (f"{LOOSE} by folder", loose_folders(product)),
    ):
        yield f"\n{title}: {'' if names else 'none'}".rstrip()
        yield from (f"  {name}" for name in names)


def main(arguments: Sequence[str] | None = None, root: Path = texts.ROOT) -> int:
    """Print the figures; fail when a limit was asked for and is not kept."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.shape", description="Shape of the code in figures."
    )
    parser.add_argument("--limits", action="store_true", help="name each limit that is not kept, and fail")
    options = parser.parse_args(arguments)
    floors = {name: read(root, name) for name in FLOORS}
    for line in report(floors, read(root, TESTS)):
        print(line)
    faults = list(broken([file for files in floors.values() for file in files])) if options.limits else []
    for fault in faults:
        print(f"\n{fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
