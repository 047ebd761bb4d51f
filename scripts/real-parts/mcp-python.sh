#!/usr/bin/env bash
# The official Python SDK of MCP as a real server for the tests: a virtual environment, 60 MB. Prints its
# Python. Usage: scripts/real-parts/mcp-python.sh [FOLDER]; the tests look into the default folder.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
version=2.3.0
folder=${1:-$cache/mcp-python}
if ! "$folder/bin/python" -c "import mcp.server, uvicorn" 2>/dev/null; then
  need python3 'command -v python3'
  need python3-venv 'python3 -c "import ensurepip, venv"'
  install_missing
  say "fetching the Python SDK of MCP"
  python3 -m venv "$folder"
  "$folder/bin/pip" install -q --no-input "mcp==$version" uvicorn==0.54.0
fi
echo "$folder/bin/python"
