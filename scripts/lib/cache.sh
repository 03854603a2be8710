# What clones share, under the cache folder, and how two set-ups at once stay out of each other's way.
# shellcheck shell=bash

digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-16; }

# Holds a lock on a folder until this script and every command it started have ended: a set-up that was killed
# may leave a command at work, and the next set-up must wait for it.
lock() {
  local fd
  command -v flock >/dev/null || return 0
  exec {fd}<"$1"
  locked=$fd
  flock --nonblock "$fd" && return
  step "waited for another set-up, at work in $1" -- flock "$fd"
}
# The same for one entry of the cache, whose folder need not exist yet.
lock_cache() {
  mkdir -p "$cache/locks"
  : >>"$cache/locks/${1##*/}"
  lock "$cache/locks/${1##*/}"
}
unlock() { if [ -n "${locked:-}" ]; then exec {locked}<&-; fi; }
