# Progress: a line per step with the time it took, signs of life in between, the log's end when a step fails.
# shellcheck shell=bash

say() { printf 'pxm2mesh: %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
fail() { printf 'pxm2mesh: %s\n' "$*" >&2; exit 1; }

job=''
stop_job() {
  if [ -z "$job" ]; then return 0; fi # plain return in a trap would fail
  kill -TERM -- "-$job" 2>/dev/null || true
  wait "$job" 2>/dev/null || true
}

megabytes() { { du -smc "$@" 2>/dev/null || true; } | tail -n 1 | cut -f 1; }

# step "what" [paths that grow, separated by ':'] -- command...
# The command runs in a process group of its own, so that an interrupt takes all of it away.
step() {
  local what=$1 grows='' started=$SECONDS log seconds
  shift
  if [ "$1" != -- ]; then grows=$1; shift; fi
  shift
  log=$(mktemp "${TMPDIR:-/tmp}/pxm2mesh-env.XXXXXX")
  if [ -t 1 ]; then printf '   %s ...' "$what"; fi
  set -m
  "$@" </dev/null >"$log" 2>&1 &
  job=$!
  set +m
  while kill -0 "$job" 2>/dev/null; do
    sleep 0.1
    seconds=$((SECONDS - started))
    sign_of_life "$what" "$seconds" "$grows"
  done
  if ! wait "$job"; then
    job=''
    [ -t 1 ] && printf '\n'
    tail -n 15 "$log" >&2
    fail "$what: failed after $((SECONDS - started)) s; everything it said is in $log. To try again, from where it stopped: make env"
  fi
  job=''
  rm -f "$log"
  if [ -t 1 ]; then printf '\r\033[K'; fi
  printf '   [%4d s] %s (%d s)\n' "$SECONDS" "$what" $((SECONDS - started))
}

last_sign=-1
sign_of_life() {
  local what=$1 seconds=$2 every=15 size='' paths
  if [ -t 1 ]; then every=1; fi
  if [ "$seconds" -eq 0 ] || [ $((seconds % every)) -ne 0 ] || [ "$seconds" = "$last_sign" ]; then return; fi
  last_sign=$seconds
  IFS=: read -r -a paths <<<"$3"
  if [ -n "$3" ]; then size=", $(megabytes "${paths[@]}") MB"; fi
  if [ -t 1 ]; then printf '\r\033[K   %s ... %d s%s' "$what" "$seconds" "$size"
  else printf '   [%4d s] %s ... %d s%s\n' "$SECONDS" "$what" "$seconds" "$size"; fi
}
