#!/usr/bin/env bash
# LiveKit's Python SDK as a real client for the tests: a virtual environment, half a minute, 200 MB.
# Prints its Python. Usage: scripts/real-parts/livekit-python.sh [FOLDER]; the tests look into the
# default folder, or where CAAL_TEST_LIVEKIT_PYTHON points.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
version=1.2.1
folder=${1:-$cache/livekit-python}
if ! "$folder/bin/python" -c "import livekit.api, livekit.rtc, numpy" 2>/dev/null; then
  need python3 'command -v python3'
  need python3-venv 'python3 -c "import ensurepip, venv"'
  install_missing
  say "fetching LiveKit's Python SDK"
  python3 -m venv "$folder"
  "$folder/bin/pip" install -q --no-input "livekit==$version" livekit-api numpy
fi
echo "$folder/bin/python"
