#!/bin/sh
# Installs locket for this user, with `locket-update` beside it, which does the same again when there is a newer one.
#
#   install.sh --from URL [--version VERSION] [--to DIRECTORY]
#
# URL (or the variable LOCKET_RELEASES) is where releases are: URL/latest/download/FILE and URL/download/vVERSION/FILE.
# DIRECTORY (or LOCKET_INSTALL_DIR) is ~/.local/bin unless another is given. `locket-update` takes the same options and
# remembers URL and DIRECTORY, and what it installed there, in lines before this one.
set -eu

from=${LOCKET_RELEASES:-${from-}}
remembered=${to-}
to=${LOCKET_INSTALL_DIR:-${to:-$HOME/.local/bin}}
# The checksums of the archive that was installed there, and of the program in it.
installed=${installed-}
program=${program-}
version=

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "nothing is installed: $*"
    exit 1
}

# The text as one word of a shell script.
quoted() {
    printf %s "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"
}

# fetch URL FILE: where TLS is asked for, it leads nowhere without.
fetch() {
    case $1 in
        https://*) tls=yes ;;
        http://127.0.0.1[:/]* | http://localhost[:/]*) tls= ;;
        *) fail "$1 is not asked for: what comes without TLS may come from anybody. Give an https:// address." ;;
    esac
    if command -v curl >/dev/null; then
        curl ${tls:+--proto-redir =https} --fail --silent --show-error --location --output "$2" "$1" ||
            fail "$1 cannot be had. Check the address, and --version where one is given."
    elif command -v wget >/dev/null; then
        # It cannot be kept to TLS when it is led on.
        wget ${tls:+--max-redirect=0} --quiet --output-document="$2" "$1" ||
            fail "$1 cannot be had. Check the address; where it leads on to another one, install curl."
    else
        fail "neither curl nor wget is here to fetch it with. Install one of them."
    fi
}

checksum() {
    if command -v sha256sum >/dev/null; then
        sha256sum "$1"
    else
        shasum -a 256 "$1"
    fi | cut -d ' ' -f 1
}

# place FILE NAME: a program that runs keeps the file that it was started from.
place() {
    new=$to/.$2.$$
    if cp "$1" "$new" && chmod 755 "$new" && mv -f "$new" "$to/$2"; then
        return
    fi
    rm -f "$new"
    fail "$to/$2 cannot be written. Make room or give another directory with --to."
}

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "\`$1\` wants a value. Usage: install.sh --from URL [--version VERSION] [--to DIRECTORY]"
    case $1 in
        --from) from=$2 ;;
        --version) version=${2#v} ;;
        --to) to=$2 ;;
        *) fail "there is no option \`$1\`. Usage: install.sh --from URL [--version VERSION] [--to DIRECTORY]" ;;
    esac
    shift 2
done
[ -n "$from" ] || fail "say where the releases are: --from URL, or LOCKET_RELEASES."

case $(uname -s)-$(uname -m) in
    Linux-x86_64) target=x86_64-unknown-linux-gnu ;;
    Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-gnu ;;
    *) fail "there is no release for $(uname -s) on $(uname -m), only for Linux on x86_64 and aarch64." ;;
esac
name=locket-$target
if [ -n "$version" ]; then
    source=${from%/}/download/v$version/$name.tar.xz
else
    source=${from%/}/latest/download/$name.tar.xz
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fetch "$source.sha256" "$work/checksum"
wanted=$(cut -d ' ' -f 1 "$work/checksum")
case $wanted in
    *[!0-9a-f]* | '') fail "$source.sha256 holds no checksum." ;;
esac
# Neither another directory nor a program that somebody put there since is what was installed.
if [ "$wanted" = "$installed" ] && [ "$to" = "$remembered" ] && [ -x "$to/locket" ] &&
    [ "$(checksum "$to/locket")" = "$program" ]; then
    say "$("$to/locket" --version) in $to is up to date."
    exit 0
fi
fetch "$source" "$work/archive"
[ "$(checksum "$work/archive")" = "$wanted" ] ||
    fail "$source is not what its checksum is of. Try again; if it stays so, trust neither."
tar -xJf "$work/archive" -C "$work" || fail "the archive cannot be unpacked, which takes tar and xz."
shown=$("$work/$name/locket" --version) || fail "what was fetched does not run on this machine."

mkdir -p "$to" && to=$(cd "$to" && pwd) || fail "$to cannot be made. Give another directory with --to."
{
    printf '#!/bin/sh\nfrom=%s\nto=%s\n' "$(quoted "$from")" "$(quoted "$to")"
    printf 'installed=%s\nprogram=%s\n' "$wanted" "$(checksum "$work/$name/locket")"
    sed 1d "$work/$name/install.sh"
} >"$work/locket-update"
place "$work/$name/locket" locket
place "$work/locket-update" locket-update

say "$shown is in $to; locket-update there fetches the next one."
case :$PATH: in
    *:"$to":*) ;;
    *) say "Add $to to PATH to call it by its name." ;;
esac
if [ -d "$HOME/.docker" ] && [ ! -e "$HOME/.docker/cli-plugins/docker-locket" ]; then
    say "For \`docker locket\` and Compose: mkdir -p ~/.docker/cli-plugins && ln -sf $(quoted "$to/locket") ~/.docker/cli-plugins/docker-locket"
fi
