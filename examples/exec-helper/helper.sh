#!/bin/sh
# Answers locket from a directory that has a file for each secret: `db/password` is the file db/password.
#
# A sample of a helper in plain sh. A shell cannot take JSON apart, but the requests have a fixed form, in which quotes
# inside of texts are always escaped; and locators that would need an escape are refused. Values go out as base64,
# which needs none.
set -eu
cd "$(dirname "$0")"
root=$1

# What one locator comes to, without the numbers that say which one it is.
find_secret() {
    case $1 in
    '' | /* | *..* | *[!A-Za-z0-9._/-]*)
        printf '"error":"invalid","message":"a locator is a path of letters, digits, dots, dashes and underscores"'
        return
        ;;
    esac
    file=$root/$1
    if ! [ -f "$file" ]; then
        printf '"error":"not-found"'
    elif ! [ -r "$file" ]; then
        printf '"error":"denied"'
    elif value=$(base64 <"$file"); then
        printf '"base64":"%s"' "$(printf %s "$value" | tr -d '\n')"
    else
        printf '"error":"unavailable"'
    fi
}

# One line is one request. The end of the input is the end of the helper.
while IFS= read -r request; do
    number=${request#*'"id":'}
    number=${number%%[!0-9]*}
    case $request in
    '{"protocol":1,'*) ;;
    *)
        printf '{"id":%s,"error":"invalid","message":"this helper speaks protocol 1"}\n' "$number"
        continue
        ;;
    esac
    rest=$request
    while [ "$rest" != "${rest#*'{"item":'}" ]; do
        rest=${rest#*'{"item":'}
        item=${rest%%[!0-9]*}
        locator=${rest#*'"locator":"'}
        locator=${locator%%'"'*}
        printf '{"id":%s,"item":%s,%s}\n' "$number" "$item" "$(find_secret "$locator")"
    done
done
