#!/usr/bin/env bash
# Builds a real livekit-server for the tests, once, from its Go module: 3 minutes and 70 MB. Prints where
# it is. Usage: scripts/real-parts/livekit-server.sh [FOLDER]; the tests look into the default folder, or
# where CAAL_TEST_LIVEKIT points.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
version=1.9.12                     # newer ones pin modules that the module proxy does not have
folder=${1:-$cache/livekit-server-$version}
if [ -x "$folder/livekit-server" ]; then
  echo "$folder/livekit-server"
  exit
fi

need python3 'command -v python3'
need_go
install_missing

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
mkdir -p "$folder"
say "building livekit-server $version into $folder (3 minutes, once)"
log=$folder/build.log
GOBIN="$work" GOFLAGS=-mod=mod CGO_ENABLED=0 \
  "$go" install "github.com/livekit/livekit-server/cmd/server@v$version" >"$log" 2>&1 ||
  die "the build failed; its last words are in $log: $(tail -n 3 "$log")"
mv "$work/server" "$folder/livekit-server"   # last, so that a half-built one is never found
echo "$folder/livekit-server"
