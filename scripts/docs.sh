#!/usr/bin/env bash
# API documentation of all headers into build/docs.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

command -v doxygen >/dev/null || die "doxygen is not installed: apt-get install doxygen"
mkdir -p "$build/docs"
doxygen - <<CONFIG
PROJECT_NAME = fxq
INPUT = $root
RECURSIVE = YES
FILE_PATTERNS = *.h README.md
EXCLUDE = $build
USE_MDFILE_AS_MAINPAGE = $root/README.md
OUTPUT_DIRECTORY = $build/docs
GENERATE_LATEX = NO
EXTRACT_ALL = YES
QUIET = YES
CONFIG
say "build/docs/html/index.html"
