# Shared by examples/run, tests/run and .ci/run: installs what is missing and builds. Sourced, not run; works with `set -eu`.
#
#   weir_install_packages [extra-package...]   # Debian packages; asks apt-get only for what is not there
#   weir_build BUILDDIR [meson options...]     # meson setup or reconfigure, then ninja; quiet unless it fails
#
# WEIR_JOBS limits the compile jobs (default: one per CPU). WEIR_NINJA_TARGETS builds these targets only.

weir_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What the library, its tests and its examples need.
weir_packages=(
    g++ meson ninja-build pkg-config
    libboost-dev libboost-context-dev libconcurrentqueue-dev libmimalloc-dev libdw-dev
    doctest-dev nlohmann-json3-dev libsqlite3-dev
)

weir_die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

weir_package_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# weir_install_packages installs the packages above and the extra ones named, where missing. Never asks a question.
weir_install_packages() {
    local package missing=()
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        if command -v meson >/dev/null && command -v ninja >/dev/null; then return 0; fi # not Debian, but set up by hand
        weir_die "apt-get not found: install the equivalents of these Debian packages by hand, then run again:" \
            "${weir_packages[*]} $*"
    fi
    for package in "${weir_packages[@]}" "$@"; do
        weir_package_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || weir_die "missing packages (${missing[*]}), and neither root nor sudo to install them"
        as_root=(sudo)
    fi
    echo "installing ${missing[*]}" >&2
    local log
    log=$(mktemp)
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
    if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        weir_die "cannot install ${missing[*]}"
    fi
    rm -f "$log"
}

# weir_build configures BUILDDIR (again, with the new options, when it exists) and builds it. CC and CXX choose the compiler
# of a build directory when it is first set up.
weir_build() {
    local dir=$1
    shift
    local log configure=()
    log=$(mktemp)
    [ -f "$dir/meson-private/coredata.dat" ] && configure=(--reconfigure)
    if ! meson setup "${configure[@]}" "$@" "$dir" "$weir_root" >"$log" 2>&1; then
        # A directory of another meson, compiler or checkout cannot be reconfigured; start it afresh.
        [ ${#configure[@]} -gt 0 ] || weir_build_failed "$log" "meson setup $dir"
        meson setup --wipe "$@" "$dir" "$weir_root" >"$log" 2>&1 || weir_build_failed "$log" "meson setup --wipe $dir"
    fi
    # shellcheck disable=SC2086 # a list of targets
    ninja -C "$dir" ${WEIR_JOBS:+-j$WEIR_JOBS} ${WEIR_NINJA_TARGETS:-} >"$log" 2>&1 || weir_build_failed "$log" "ninja -C $dir"
    rm -f "$log"
}

weir_build_failed() {
    cat "$1" >&2
    rm -f "$1"
    weir_die "$2 failed"
}
