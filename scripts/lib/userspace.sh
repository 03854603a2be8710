# Route 4: a private Debian user space with DOLFINx, for a host whose own is too old or missing. Only its /usr is used: the
# host's own Python and libraries stay as they are, and inside it everything but /usr is the host's.
# shellcheck shell=bash

# libopenblas0-pthread is not a detail: MUMPS is 15 times slower on the reference BLAS that comes otherwise.
# The libraries from libgl1 on are what the wheels of vtk and gmsh expect to find; the loaders for drawing without a screen.
userspace_packages=(ca-certificates tzdata python3 python3-venv python3-pip python3-dev python3-dolfinx-real gcc libc6-dev
  openmpi-bin libopenblas0-pthread libgomp1 libgl1 libglu1-mesa libopengl0 libegl1 libgl1-mesa-dri
  libxrender1 libxcursor1 libxft2 libxinerama1)

userspace_key() { printf '%s\n' "$suite" "${userspace_packages[@]}" 2 | digest | cut -c 1-12; }

can_userspace() {
  root=$cache/debian-$suite-$(userspace_key)
  if [ "$(uname -s)" != Linux ] || [ "$(readlink /bin)" != usr/bin ]; then
    why='it wants a Linux whose /bin is a link to usr/bin'
    return 1
  fi
  why="Debian $suite under $root; 2 GB once for all clones"
  if ! command -v bwrap >/dev/null || { [ ! -e "$root/.done" ] && ! command -v mmdebstrap >/dev/null; }; then
    if ! command -v apt-get >/dev/null; then why='there is no apt to install mmdebstrap and bubblewrap with'; return 1; fi
    if [ "$(id -u)" = 0 ]; then return; fi
    why='mmdebstrap or bubblewrap is missing, and only root may install them'
    how='sudo apt-get install mmdebstrap bubblewrap uidmap'
    return 1
  fi
  if ! bwrap --dev-bind / / true 2>/dev/null; then
    why='bubblewrap may not make a mount namespace here (a container without CAP_SYS_ADMIN?)'
    how='allow unprivileged user namespaces, or run the container with --cap-add SYS_ADMIN'
    return 1
  fi
}

prepare_userspace() {
  if ! command -v bwrap >/dev/null || { [ ! -e "$root/.done" ] && ! command -v mmdebstrap >/dev/null; }; then
    step 'mmdebstrap and bubblewrap with apt' -- install_tools
    bwrap --dev-bind / / true || fail 'bubblewrap may not make a mount namespace here; see docs/how-to/dolfinx.md, "Containers"'
  fi
  mkdir -p "$cache/locks"
  : >>"$cache/locks/${root##*/}"
  lock "$cache/locks/${root##*/}"
  if [ -e "$root/.done" ]; then note "Debian $suite is in the cache: $root"
  else step "Debian $suite with DOLFINx (about 450 MB to download, 2 GB on disk)" "$root.part:$root.debs" -- make_userspace; fi
  unlock
  base_python=/usr/bin/python3
}

install_tools() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends mmdebstrap bubblewrap
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
