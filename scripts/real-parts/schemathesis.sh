#!/usr/bin/env bash
# Schemathesis, which tries the HTTP API against its own description, for the tests: a virtual environment,
# half a minute, 100 MB. Prints its program. Usage: scripts/real-parts/schemathesis.sh [FOLDER]; the tests
# look into the default folder, or where CAAL_TEST_SCHEMATHESIS points.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
version=4.32.5
folder=${1:-$cache/schemathesis}
if [ "$("$folder/bin/schemathesis" --version 2>/dev/null | grep -o '[0-9.]*$')" != "$version" ]; then
  need python3 'command -v python3'
  need python3-venv 'python3 -c "import ensurepip, venv"'
  install_missing
  say "fetching schemathesis"
  python3 -m venv --clear "$folder"
  "$folder/bin/pip" install -q --no-input "schemathesis==$version"
fi
echo "$folder/bin/schemathesis"
