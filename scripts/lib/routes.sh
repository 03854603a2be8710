# Where DOLFINx comes from: five routes, tried in order; the first that applies is taken.
# Each can_X says in $why what it found and, when it does not apply, in $how what would have made it possible.
# shellcheck shell=bash

oldest=0.9
oldest_python=3.11
routes=(python conda apt userspace mesher)
declare -A title=(
  [python]='a Python that has DOLFINx' [conda]='conda, mamba, micromamba or pixi'
  [apt]="this system's own packages" [userspace]='a private Debian user space' [mesher]='the mesher alone, without DOLFINx')

# at_least HAVE WANT: compares versions such as 1:0.9.0-4 and 0.9
at_least() {
  local have=${1#*:}
  [ "$(printf '%s\n%s\n' "$2" "${have%%-*}" | sort -V | head -n 1)" = "$2" ]
}

choose_route() {
  local candidate number=0
  chosen=''
  for candidate in "${routes[@]}"; do
    number=$((number + 1)) why='' how=''
    if [ -n "$route" ] && [ "$route" != "$candidate" ]; then continue; fi
    if "can_$candidate"; then
      note "route $number, ${title[$candidate]}: taken. $why"
      chosen=$candidate
      return
    fi
    note "route $number, ${title[$candidate]}: no. $why"
    if [ -n "$how" ]; then note "         to make it possible: $how"; fi
  done
  fail "no way to prepare ${name:-.env} was found; see docs/how-to/dolfinx.md"
}

# ---- 1: PXM2MESH_PYTHON or the active Python ----

probe='
import sys
import dolfinx, numpy
print(dolfinx.__version__, "real" if numpy.issubdtype(dolfinx.default_scalar_type, numpy.floating) else "complex")
sys.exit(sys.version_info < (3, 11))'

can_python() {
  local python said
  if [ -n "${PXM2MESH_PYTHON:-}" ] && ! command -v "$PXM2MESH_PYTHON" >/dev/null; then
    fail "PXM2MESH_PYTHON=$PXM2MESH_PYTHON: there is no such program"
  fi
  how="activate a Python >= $oldest_python that imports DOLFINx >= $oldest, or: make env PXM2MESH_PYTHON=/path/to/python"
  for python in ${PXM2MESH_PYTHON:-python3 python}; do
    python=$(command -v "$python") || continue
    case $python in "$checkout"/.env*) continue ;; esac
    if said=$("$python" -c "$probe" 2>/dev/null </dev/null); then
      if at_least "${said% *}" "$oldest" && [ "${said#* }" = real ]; then
        base_python=$python why="$python has DOLFINx ${said% *}"
        return
      fi
      why="${why:+$why; }$python has DOLFINx $said, wanted: >= $oldest, real"
    else
      why="${why:+$why; }$python does not import DOLFINx >= $oldest"
    fi
  done
  if [ -n "${PXM2MESH_PYTHON:-}" ] && [ -z "$route" ]; then
    fail "$why; unset PXM2MESH_PYTHON, or have the mesher alone on it: make env PXM2MESH_ROUTE=mesher"
  fi
  return 1
}
prepare_python() { :; }

# ---- 2: conda and its kin ----

can_conda() {
  local tool
  how="install micromamba, mamba, conda or pixi, then: make env"
  for tool in micromamba mamba conda pixi; do
    if command -v "$tool" >/dev/null; then conda=$tool why="$tool is on the PATH"; return; fi
  done
  why='none of them is on the PATH'
  return 1
}
# In the cache, because a conda environment cannot be moved once it is made; clones with the same environment.yml share it.
prepare_conda() {
  local prefix
  prefix=$cache/conda-$(digest <"$checkout/environment.yml")
  lock_cache "$prefix"
  if [ ! -e "$prefix/.done" ]; then step "DOLFINx with $conda" "$prefix" -- make_conda_environment "$prefix"; fi
  unlock
  base_python=$prefix/bin/python
  if [ "$conda" = pixi ]; then base_python=$prefix/.pixi/envs/default/bin/python; fi
}
make_conda_environment() {
  local file=$checkout/environment.yml
  rm -rf "$1"
  case $conda in
    pixi)
      pixi init --import "$file" "$1"
      pixi install --manifest-path "$1"
      ;;
    micromamba) micromamba create --yes --prefix "$1" --file "$file" ;;
    *) "$conda" env create --yes --prefix "$1" --file "$file" ;;
  esac
  : >"$1/.done"
}

# ---- 3: apt ----

apt_packages=(python3-dolfinx-real python3-venv python3-pip python3-dev gcc libc6-dev openmpi-bin libopenblas0-pthread
  libgl1 libglu1-mesa libopengl0 libegl1 libxrender1 libxcursor1 libxft2 libxinerama1 libgomp1)

can_apt() {
  local candidate
  if ! command -v apt-cache >/dev/null; then why='there is no apt here'; return 1; fi
  candidate=$(apt-cache policy "${apt_packages[0]}" 2>/dev/null | sed -n 's/^ *Candidate: *//p')
  if [ -z "$candidate" ] || [ "$candidate" = '(none)' ]; then
    why="apt knows no ${apt_packages[0]}" how="apt-get update, if it was never run here"
    return 1
  fi
  if ! at_least "$candidate" "$oldest"; then
    why="apt offers DOLFINx $candidate, wanted: >= $oldest" how='Debian 13 or newer'
    return 1
  fi
  why="apt offers DOLFINx $candidate"
  if [ "$(id -u)" != 0 ]; then
    why="$why, but only root may install it" how="sudo apt-get install ${apt_packages[*]}"
    return 1
  fi
}
prepare_apt() {
  step "DOLFINx with apt" -- env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${apt_packages[@]}"
  base_python=/usr/bin/python3
}

# ---- 4: a private Debian user space: userspace.sh ----

# ---- 5: the mesher alone ----

can_mesher() {
  local python
  for python in "${PXM2MESH_PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null </dev/null; then
      base_python=$(command -v "$python") why='Solving will say what is missing; meshing and measuring work.'
      return
    fi
  done
  why="there is no Python >= $oldest_python" how="install one, then: make env PXM2MESH_PYTHON=/path/to/python"
  return 1
}
prepare_mesher() { :; }
