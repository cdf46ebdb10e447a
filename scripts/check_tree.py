#!/usr/bin/env python3
"""Checks the shape of the tree: folder pages, file names, file sizes.

Every folder of sources has a README.md of at most one page; no file is named utils, common, helper,
manager or impl; no source is over 800 lines, 90 % are within 400, half within 150. Every C++ source opens with a comment: what it is, before and after, or the formula.
"""

import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = re.compile(r"\.(cc|h|def|py|sh)$")
NOT_A_NAME = re.compile(r"(^|_)(utils?|common|helpers?|manager|impl)(_|$)")
PAGE = 70  # lines
DATA_ONLY = re.compile(r"^(tests/golden/|examples/digits/images|tests/\w+$|\.ci)")


def tracked() -> list:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in text.split("\n") if path and (ROOT / path).is_file()]


def lines_of(path: str) -> int:
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def check_pages(files: list) -> list:
    folders = {str(pathlib.Path(path).parent) for path in files} - {"."}
    problems = []
    for folder in sorted(folder for folder in folders if not DATA_ONLY.match(folder)):
        page = f"{folder}/README.md"
        if not (ROOT / page).is_file():
            problems.append(f"{folder}/: has no README.md")
        elif lines_of(page) > PAGE:
            problems.append(f"{page}: {lines_of(page)} lines; a page is {PAGE}")
    return problems


def check_sizes(sources: list) -> list:
    sizes = {path: lines_of(path) for path in sources}
    problems = [f"{path}: {size} lines; the limit is 800" for path, size in sizes.items() if size > 800]
    over = sorted(path for path, size in sizes.items() if size > 400)
    if len(over) > 0.1 * len(sizes):
        problems.append(f"more than 10 % of the sources are over 400 lines: {', '.join(over)}")
    if statistics.median(sizes.values()) > 150:
        problems.append(f"the median source has {statistics.median(sizes.values())} lines, not 150")
    return problems


def check_openings(sources: list) -> list:
    cpp = [path for path in sources if path.endswith((".cc", ".h", ".def"))]
    return [f"{path}: does not open with a comment" for path in cpp if not (ROOT / path).read_text(encoding="utf-8").startswith("//")]


def main() -> int:
    files = tracked()
    sources = [path for path in files if SOURCE.search(path)]
    problems = check_pages(files) + check_sizes(sources) + check_openings(sources)
    for path in sources:
        if NOT_A_NAME.search(pathlib.Path(path).stem):
            problems.append(f"{path}: say in the name what the file holds")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
