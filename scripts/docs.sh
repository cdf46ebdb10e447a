#!/usr/bin/env bash
# API documentation of the installed headers, the folders' READMEs and docs/ into build/docs.
# Installs doxygen if it is missing.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

"$root/scripts/setup.sh" --no-venv doxygen
mkdir -p "$build/docs"
# Folders by name: build trees hold links back to the sources, which a recursive search would follow for ever.
doxygen - <<CONFIG
PROJECT_NAME = fxq
INPUT = README.md CONTRIBUTING.md base graph tracer passes quant runtime export data docs examples
RECURSIVE = YES
FILE_PATTERNS = *.h *.md
EXCLUDE_SYMLINKS = YES
HAVE_DOT = NO
USE_MDFILE_AS_MAINPAGE = README.md
OUTPUT_DIRECTORY = $build/docs
GENERATE_LATEX = NO
EXTRACT_ALL = YES
QUIET = YES
WARNINGS = NO
CONFIG
say "build/docs/html/index.html"
