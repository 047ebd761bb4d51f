#!/usr/bin/env bash
# Builds a real Ollama for the tests, once, for the CPU, from its Go module: 5 to 10 minutes and 50 MB.
# Prints where it is. Usage: scripts/real-parts/ollama.sh [FOLDER]; the tests look into the default
# folder, or where CAAL_TEST_OLLAMA points.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
version=0.17.4                     # the version whose protocol src/llm/stream.rs was written for
malgo=v0.11.24                     # as in its go.mod
folder=${1:-$cache/ollama-$version}
if [ -x "$folder/ollama" ]; then
  echo "$folder/ollama"
  exit
fi

need gcc 'command -v cc'
need g++ 'command -v c++'
need python3 'command -v python3'
need nlohmann-json3-dev 'test -e /usr/include/nlohmann/json.hpp'
need libstb-dev 'test -e /usr/include/stb/stb_image.h'

need_go
install_missing

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
mkdir -p "$work/include/miniaudio" "$folder"
# Go leaves folders called "vendor" out of its module archives, and with them three headers that
# llama.cpp's audio and image code includes. Two are Debian packages, the third is in another module.
(cd "$work" && "$go" mod init headers) 2>/dev/null
header=$(cd "$work" && "$go" mod download -json "github.com/gen2brain/malgo@$malgo" |
  python3 -c 'import json,sys; print(json.load(sys.stdin)["Dir"])')/miniaudio.h
install -m 644 "$header" "$work/include/miniaudio/"

# Without these the model runs at 2 tokens a second instead of 84: the plain `go install` does not
# build Ollama's own choice of CPU kernels.
flags=-O3
for flag in avx2 fma f16c bmi2; do
  if grep -qw "$flag" /proc/cpuinfo 2>/dev/null; then flags+=" -m$flag"; fi
done
say "building Ollama $version into $folder (5 to 10 minutes, once)"
log=$folder/build.log
GOBIN="$work" GOFLAGS=-mod=mod CGO_ENABLED=1 CGO_CFLAGS="$flags" \
  CGO_CXXFLAGS="$flags -I$work/include -I/usr/include" \
  "$go" install "github.com/ollama/ollama@v$version" >"$log" 2>&1 ||
  die "the build failed; its last words are in $log: $(tail -n 3 "$log")"
mv "$work/ollama" "$folder/ollama"   # last, so that a half-built one is never found
echo "$folder/ollama"
