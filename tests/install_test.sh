#!/bin/bash
# Installs the built library to a temporary prefix and builds an outside program against it with pkg-config, shared and static.
#
#   install_test.sh SOURCE_DIR BUILD_DIR COMPILER...
set -eu
source=$1
build=$2
shift 2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
    echo "install_test: $*" >&2
    exit 1
}

# --destdir keeps the configured prefix: the pkg-config file is moved with it through PKG_CONFIG_SYSROOT_DIR.
meson install -C "$build" --no-rebuild --destdir "$work/dest" --quiet >"$work/log" 2>&1 || { cat "$work/log"; fail "meson install"; }
pc=$(find "$work/dest" -name weir.pc)
[ -n "$pc" ] || fail "no weir.pc was installed"
configured=$(sed -n 's/^prefix=//p' "$pc")
cp -r "$work/dest$configured" "$prefix"
sed -i "s|^prefix=.*|prefix=$prefix|" "$prefix${pc#"$work/dest$configured"}"
export PKG_CONFIG_PATH=$(dirname "$prefix${pc#"$work/dest$configured"}")
libdir=$(pkg-config --variable=libdir weir)

# Every public header of the tree is installed, and nothing else.
(cd "$source" && ls -- */include/weir/*.h */include/weir/detail/*.h) | sed 's|^[^/]*/include/||' | sort >"$work/tree"
(cd "$prefix/include" && find weir -name '*.h') | sort >"$work/installed"
diff "$work/tree" "$work/installed" || fail "installed headers differ from the tree's"

cat >"$work/prog.cpp" <<'END'
#include <weir/weir.h>
#include <cstdio>

int main() {
    return weir::run([] {
        weir::chan<int> c;
        for (int i = 1; i <= 10; ++i) weir::go([c, i] { c.send(i * i); });
        int sum = 0;
        for (int i = 0; i < 10; ++i) sum += c.recv();
        weir::frame([&] {
            weir::defer d{[&] { if (weir::recover()) sum += 1000; }};
            weir::panic("recovered");
        });
        std::printf("sum %d\n", sum);
        return sum == 1385 ? 0 : 1;
    });
}
END

pkg-config --cflags weir | grep -q -e -fnon-call-exceptions || fail "pkg-config --cflags does not pass on -fnon-call-exceptions"
build_and_run() {
    local name=$1
    shift
    # shellcheck disable=SC2046 # pkg-config's flags are separate words
    "$@" || fail "$name: does not build: $*"
    LD_LIBRARY_PATH=$libdir timeout 60 "$work/prog_$name" >"$work/out" 2>&1 || { cat "$work/out"; fail "$name: exit status $?"; }
    grep -qx 'sum 1385' "$work/out" || { cat "$work/out"; fail "$name: wrong output"; }
}
ls "$libdir"/libweir.so >/dev/null || fail "no shared library"
ls "$libdir"/libweir.a >/dev/null || fail "no static library"
# shellcheck disable=SC2046
build_and_run shared "$@" -std=c++20 "$work/prog.cpp" $(pkg-config --cflags --libs weir) -o "$work/prog_shared"
readelf -d "$work/prog_shared" | grep -q 'NEEDED.*libweir' || fail "shared: does not use libweir.so"
# shellcheck disable=SC2046
build_and_run static "$@" -std=c++20 "$work/prog.cpp" $(pkg-config --cflags --static --libs weir | sed 's/-lweir\b/-l:libweir.a/g') -o "$work/prog_static"
! readelf -d "$work/prog_static" | grep -q 'NEEDED.*libweir' || fail "static: uses libweir.so"
# -O2 without and with debug information, as users build.
# shellcheck disable=SC2046
build_and_run optimised "$@" -std=c++20 -O2 -g -Wall -Wextra -Werror "$work/prog.cpp" $(pkg-config --cflags --libs weir) -o "$work/prog_optimised"
echo "installed, built and ran: shared, static, optimised"
