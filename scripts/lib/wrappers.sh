# .env/bin: what everything else calls. The wrappers are copies of scripts/wrappers; what differs between machines is in one
# file beside them, settings.
# shellcheck shell=bash

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# setting NAME VALUE: adds or replaces a line
setting() {
  local file=$part/bin/settings
  if [ -e "$file" ]; then sed -i "/^$1=/d" "$file"; fi
  printf '%s=%s\n' "$1" "$(quoted "$2")" >>"$file"
}

# First, because the rest runs commands by way of bin/inside.
write_wrappers() {
  local tool
  cp "$here"/wrappers/{environment,inside,python,mpirun} "$part/bin/"
  for tool in pxm2mesh pytest mypy lint-imports ruff; do cp "$here/wrappers/tool" "$part/bin/$tool"; done
  if [ "$chosen" != userspace ]; then root=''; fi
  setting root "$root"
  setting bwrap "$(command -v bwrap || true)"
  setting headless ''
  setting shared_memory sm
  setting mpirun ''
  setting numba_cache "$cache/numba/$(digest <"$here/requirements.lock")"
  setting base_path "$(dirname "$base_python")"
}

# A Docker image, a Spack or a conda environment sets variables that DOLFINx needs again later, from another shell.
keep_base_variables() {
  local variable
  for variable in CC LD_LIBRARY_PATH PETSC_DIR PETSC_ARCH SLEPC_DIR; do
    if [ -n "${!variable:-}" ]; then
      # shellcheck disable=SC2016
      printf '[ -n "${%s+set}" ] || export %s=%s\n' "$variable" "$variable" "$(quoted "${!variable}")" >>"$part/bin/settings"
    fi
  done
}

find_mpirun() {
  local found
  found=$(dirname "$base_python")/mpirun
  # shellcheck disable=SC2016
  inside test -x "$found" || found=$(inside sh -c 'command -v mpirun || command -v mpiexec || true')
  setting mpirun "$found"
  case $(inside "$found" --version 2>/dev/null | head -n 1) in *'Open MPI'*' '[1-4].*) setting shared_memory vader ;; esac
}
