#!/bin/sh
# The least that a `command:` store needs: a file that holds the bare token, and nothing else.
#
#     command:/usr/local/lib/rotator/plain_file.sh?args=/srv/luna/token&folder=/var/lib/rotator#token
#
# It neither compares nor keeps notes: the rotator does both, in the folder of the URL.
set -u
umask 077
file=$1
folder=$(dirname "$file")
[ -d "$folder" ] || exit 5
case $2 in
read)
    [ -r "$folder" ] && [ -x "$folder" ] || exit 4
    [ -e "$file" ] || exit 3
    secret=$(cat "$file") || exit 4
    [ -n "$secret" ] || exit 3
    printf '{"secret": "%s"}\n' "$secret" ;;
preflight)
    [ -w "$folder" ] || exit 4 ;;
write)
    # A token has no quotes and no backslashes.
    sed 's/.*"secret": "\([^"]*\)".*/\1/' 2>/dev/null >"$file.new" || exit 4
    mv "$file.new" "$file" || exit 4 ;;
*)
    exit 64 ;;
esac
