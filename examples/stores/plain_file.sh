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
IFS= read -r request
name=${request#*'"name": "'}
case ${name%%\"*} in *_REHEARSAL) file=${file}_REHEARSAL ;; esac
[ -d "$folder" ] || exit 5
case $2 in
read)
    [ -r "$folder" ] && [ -x "$folder" ] || exit 4
    secret=''
    [ ! -e "$file" ] || secret=$(cat "$file") || exit 4
    printf '{"secret": "%s", "capabilities": ["scratch"]}\n' "$secret"
    [ -n "$secret" ] || exit 3 ;;
preflight)
    [ -w "$folder" ] || exit 4 ;;
write)
    # A token has no quotes and no backslashes.
    secret=${request#*'"secret": "'}
    printf '%s\n' "${secret%%\"*}" 2>/dev/null >"$file.new" || exit 4
    mv "$file.new" "$file" || exit 4 ;;
remove)
    rm -f "$file" || exit 4 ;;
*)
    exit 64 ;;
esac
