#!/usr/bin/env bash
# Each plugin by plain pip into an empty environment, as somebody would who wants nothing else of this repository.
# Usage: alone.sh FOLDER PYTHON
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
passed=0
for package in taps/tap-github taps/tap-odoo taps/tap-rest-api targets/target-postgres; do
    command=$(basename "$package")
    environment=$1/$command
    rm -rf "$environment"
    "$2" -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$root/kit" "$root/$package"
    "$environment/bin/$command" --version
    "$environment/bin/$command" --about --format=json | "$environment/bin/python" -c "
import json, sys
about = json.load(sys.stdin)
assert about['name'] == '$command', about['name']
assert about['settings']['properties'], 'no settings'
"
    passed=$((passed + 1))
done
echo "$passed passed, 0 failed"
