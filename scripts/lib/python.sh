# The virtual environment on top of the Python that the route gave, and the wheels in it, as pinned in requirements.lock.
# shellcheck shell=bash

uv_version=0.13.9

inside() { "$part/bin/inside" "$@"; }

# uv instead of pip: seconds instead of a minute, and wheels shared between clones by hard links. uv itself comes by pip.
uv() {
  UV_CACHE_DIR=$cache/uv UV_PYTHON_DOWNLOADS=never UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-}} \
    SSL_CERT_FILE=${SSL_CERT_FILE:-${PIP_CERT:-}} inside "$cache/uv-$uv_version/bin/uv" --quiet "$@"
}
get_uv() {
  local tool=$cache/uv-$uv_version
  rm -rf "$tool".part.*
  inside "$base_python" -m pip install --quiet --no-warn-script-location --target "$tool.part.$$" "uv==$uv_version" ||
    { inside "$base_python" -m venv "$tool.part.$$" && "$tool.part.$$/bin/python" -m pip install --quiet "uv==$uv_version"; }
  mv -T "$tool.part.$$" "$tool" 2>/dev/null || [ -x "$tool/bin/uv" ]
}

create_venv() {
  if [ ! -x "$cache/uv-$uv_version/bin/uv" ]; then step "uv $uv_version" -- get_uv; fi
  local system=--system-site-packages
  if [ "$chosen" = mesher ]; then system=''; fi
  # Relocatable, because it is built beside its final place.
  step "virtual environment on $base_python" -- uv venv --relocatable ${system:+"$system"} --python "$base_python" "$part/venv"
  if [ "$chosen" = conda ]; then # what activating would set: the compiler for DOLFINx's forms
    local compiler
    for compiler in "${base_python%/*}"/*-conda-*-cc "${base_python%/*}"/*-apple-*-clang; do
      if [ -x "$compiler" ]; then CC=$compiler; fi
    done
  fi
  if [ "$chosen" = python ]; then see_base_packages; fi
  case $chosen in python | conda) keep_base_variables ;; esac
}

# A virtual environment made from another one, or from a Python that finds DOLFINx by PYTHONPATH (Docker images, Spack), does not
# see its packages: name the folders.
see_base_packages() {
  local site
  site=$("$part/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  "$base_python" - "$site/pxm2mesh-base.pth" <<'PYTHON'
import sys, sysconfig
from pathlib import Path
stdlib = {Path(sysconfig.get_path(k)).resolve() for k in ("stdlib", "platstdlib")}
stdlib |= {p / "lib-dynload" for p in stdlib}
found = [p for p in map(Path, filter(None, sys.path)) if p.is_dir() and p.resolve() not in stdlib]
Path(sys.argv[1]).write_text("".join(f"{p.resolve()}\n" for p in found))
PYTHON
}

install_wheels() {
  step "$(grep -c '^[a-z]' "$here/requirements.lock") wheels from scripts/requirements.lock" "$part:$cache/uv" -- \
    uv pip install --python "$part/venv/bin/python" --only-binary :all: --requirements "$here/requirements.lock"
  step 'pxm2mesh, editable' -- uv pip install --python "$part/venv/bin/python" --no-deps --no-build-isolation --editable "$checkout"
}
