#!/bin/sh
# Everything that can be tested, from a fresh clone: prepares, then types, lint, format, unit tests,
# labs, ways past and short fuzzing. The last line is `N passed, M failed, K skipped`.
set -u
cd "$(dirname "$0")/.."
sh scripts/prepare.sh test || {
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}
PATH="$PWD/node_modules/.bin:$PATH"
failed=""
step() {
  name=$1
  shift
  echo "# $name"
  "$@" || failed="$failed,$name"
}

step types tsc -p tsconfig.test.json
step lint oxlint --type-aware --deny-warnings
step format prettier --check --log-level warn .

exec node --no-warnings --import ./scripts/compiled.mjs test/suite.ts --failed="$failed" "$@"
