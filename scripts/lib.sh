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
