#!/bin/sh
# Compiles the program into dist/, which is replaced as a whole: nobody ever sees half of it, and
# deleted sources leave no trace. Data (presets) is read from where it lies in the sources.
set -eu
cd "$(dirname "$0")/.."

mkdir -p .tap
next=.tap/dist.$$
trap 'rm -rf "$next" "$next.last"' EXIT
mkdir "$next"
# Before the compiler reads: what changes while it works is younger than the stamp.
touch "$next/.built"
node node_modules/typescript/bin/tsc -p tsconfig.build.json --outDir "$next"
[ ! -d dist ] || mv dist "$next.last"
mv "$next" dist
