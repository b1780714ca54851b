#!/bin/sh
# Stands in for 1Password's `op` program, of which it has the commands that locket uses, and their errors in its words.
# What it knows lies beside it; what it was asked, and with which environment, it writes there.
home=${0%/*}

fail() {
    printf '[ERROR] 2026/01/02 03:04:05 %s\n' "$1" >&2
    exit 1
}

print() {
    cat "$home/items/$1.json"
    printf '\n'
}

run() {
    line=
    for word; do line="$line $word"; done
    printf '%s\n' "${line# }" >>"$home/calls"
    env >"$home/environment"
    ls -ld "$OP_CONFIG_DIR" >"$home/config"
    [ -e "$home/hangs" ] && exec sleep 600
    [ -e "$home/refuses" ] && fail "$(cat "$home/refuses")"
    [ "$OP_SERVICE_ACCOUNT_TOKEN" = "$(cat "$home/token")" ] || fail '(401) Unauthorized: the token is not valid'
    command="$1 $2"
    shift 2
    case $command in
    'item get') get "$@" ;;
    'read --no-newline') read_file "$@" ;;
    *) fail "unknown command \"$command\" for \"op\"" ;;
    esac
}

get() {
    vault=
    ids=
    while [ $# -gt 0 ]; do
        case $1 in
        --vault=*) vault=${1#--vault=} ;;
        --format=json) ;;
        -) ids=$(sed -n 's/.*{"id":"\([a-z0-9]*\)","vault".*/\1/p') ;;
        --)
            shift
            break
            ;;
        *) fail "unknown flag: $1" ;;
        esac
        shift
    done
    if [ $# = 0 ]; then
        for id in $ids; do
            [ -e "$home/items/$id.json" ] || fail "\"$id\" isn't an item. Specify the item with its UUID, name, or domain."
        done
        for id in $ids; do print "$id"; done
        return
    fi
    [ -d "$home/vaults/$vault" ] || fail "\"$vault\" isn't a vault in this account. Specify the vault with its ID or name."
    found="$home/vaults/$vault/$1"
    [ -e "$found" ] || fail "\"$1\" isn't an item in the \"$vault\" vault. Specify the item with its UUID, name, or domain."
    id=$(cat "$found")
    [ "$id" = several ] && fail "More than one item matches \"$1\". Try again and specify the item by its ID:"
    print "$id"
}

read_file() {
    [ "$1" = -- ] && shift
    file=${1##*/}
    [ -e "$home/files/$file" ] || fail "could not read secret '$1': could not find file"
    cat "$home/files/$file"
}

run "$@"
