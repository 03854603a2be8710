# Route 4: a private Debian user space with DOLFINx, for a host whose own is too old or missing. Only its /usr is used: the
# host's own Python and libraries stay as they are, and inside it everything but /usr is the host's.
# shellcheck shell=bash

# libopenblas0-pthread is not a detail: MUMPS is 15 times slower on the reference BLAS that comes otherwise.
# The libraries from libgl1 on are what the wheels of vtk and gmsh expect to find; the loaders for drawing without a screen.
userspace_packages=(ca-certificates tzdata python3 python3-venv python3-pip python3-dev python3-dolfinx-real gcc libc6-dev
  openmpi-bin libopenblas0-pthread libgomp1 libgl1 libglu1-mesa libopengl0 libegl1 libgl1-mesa-dri
  libxrender1 libxcursor1 libxft2 libxinerama1)
# The browser that the tests open reports and pages in; the solver's second environment needs none.
if [ "${suite:-}" = trixie ]; then userspace_packages+=(chromium-headless-shell); fi

userspace_key() { printf '%s\n' "$suite" "${userspace_packages[@]}" 2 | digest | cut -c 1-12; }

# The programs that making one takes, or entering one that is made. Root may do without uidmap.
userspace_tools() {
  echo bwrap
  if [ ! -e "$root/.done" ]; then
    echo mmdebstrap
    if [ "$(id -u)" != 0 ]; then echo newuidmap; fi
  fi
}
has_userspace_tools() {
  local tool
  for tool in $(userspace_tools); do command -v "$tool" >/dev/null || return 1; done
}

can_userspace() {
  root=$cache/debian-$suite-$(userspace_key)
  if [ "$(uname -s)" != Linux ] || [ "$(readlink /bin)" != usr/bin ]; then
    why='it wants a Linux whose /bin is a link to usr/bin'
    return 1
  fi
  if ! has_userspace_tools; then
    how='sudo apt-get install mmdebstrap bubblewrap uidmap debian-archive-keyring'
    if ! command -v apt-get >/dev/null; then why='there is no apt to install mmdebstrap and bubblewrap with' how=''; return 1; fi
    if [ "$(id -u)" != 0 ]; then why='mmdebstrap, bubblewrap or uidmap is missing, and only root may install them'; return 1; fi
  elif ! may_enter; then
    why='bubblewrap may not make a mount namespace here'
    how='allow unprivileged user namespaces, or start the container with --cap-add SYS_ADMIN'
    return 1
  elif [ "$(id -u)" != 0 ] && [ ! -e "$root/.done" ] && ! grep -q "^$(id -un):" /etc/subuid; then
    why="/etc/subuid has no range for $(id -un)" how="sudo usermod --add-subuids 200000-265535 --add-subgids 200000-265535 $(id -un)"
    return 1
  fi
  why="Debian $suite under $root; 2 GB once for all clones"
}
may_enter() { bwrap --dev-bind / / true 2>/dev/null; }

prepare_userspace() {
  local grows=''
  if ! has_userspace_tools; then
    step 'mmdebstrap and bubblewrap with apt' -- install_tools
    may_enter || fail 'bubblewrap may not make a mount namespace here; see docs/how-to/dolfinx.md, "Containers"'
  fi
  lock_cache "$root"
  if [ -e "$root/.done" ]; then
    note "Debian $suite is in the cache: $root"
  else
    if [ "$(id -u)" = 0 ]; then grows=$root.part:$root.debs; fi # an ordinary user's grows out of sight
    step "Debian $suite with DOLFINx (about 450 MB to download, 2 GB on disk)" "$grows" -- make_userspace
  fi
  unlock
  base_python=/usr/bin/python3
}

install_tools() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends mmdebstrap bubblewrap \
    debian-archive-keyring
}

# Whole or not at all, and one command from the first package to the final name: if the script that waits for it is killed,
# this goes on to the end, and the next set-up finds it done. If this is killed too, the packages downloaded so far are kept.
make_userspace() {
  local options=(--variant=minbase --include="$(IFS=,; echo "${userspace_packages[*]}")"
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*')
  remove_tree "$root.part"
  # The archive of unstable may be an older copy than its date allows.
  if [ "$suite" = sid ]; then options+=(--aptopt='Acquire::Check-Valid-Until "false"'); fi
  if [ "$(id -u)" = 0 ]; then
    mkdir -p "$root.debs"
    export PXM2MESH_DEBS=$root.debs
    # In a mount namespace of its own, so that no mount outlives it. The hooks' $1 is for their own shell.
    # shellcheck disable=SC2016
    unshare --mount mmdebstrap "${options[@]}" --skip=download/empty,essential/unlink,cleanup/apt/cache \
      --setup-hook='mkdir -p "$1/var/cache/apt/archives" && mount --bind "$PXM2MESH_DEBS" "$1/var/cache/apt/archives"' \
      --customize-hook='umount "$1/var/cache/apt/archives"' "$suite" "$root.part"
  else
    # By way of a tar, so that the files are the user's own and can be deleted by the user.
    mkdir -p "$root.part"
    mmdebstrap --mode=unshare "${options[@]}" --format=tar "$suite" - |
      tar --extract --no-same-owner --exclude='./dev/*' --directory "$root.part"
  fi
  : >"$root.part/usr/.${root##*/}"
  : >"$root.part/.done"
  mv "$root.part" "$root"
  rm -rf "$root.debs"
}

# Never through a mount: it would take along what is mounted there.
remove_tree() {
  if grep -qF " $1/" /proc/self/mounts; then fail "something is still mounted under $1; unmount it, then: make env"; fi
  rm -rf --one-file-system "$1"
}
