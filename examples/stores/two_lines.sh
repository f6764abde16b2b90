#!/bin/sh
# A store in a file of two lines, the token and the rotator's note; bots read it with `head -n 1`.
#
#     command:/usr/local/lib/rotator/two_lines.sh?args=/srv/luna/token#token
#
# A token and a note have no quotes and no backslashes, so that sh can read and write their JSON.
set -u
umask 077
file=$1 verb=$2
folder=$(dirname "$file")
[ -d "$folder" ] || exit 5

value() { # of a key of the request, or $2
    case $request in
    *"\"$1\": \""*) value=${request#*"\"$1\": \""} && value=${value%%\"*} ;;
    *) value=$2 ;;
    esac
}

if [ "$verb" != read ]; then
    exec 9<"$folder" || exit 4
    flock 9 || exit 5 # until the end of this program
fi
IFS= read -r request
value name ''
case $value in *_REHEARSAL) file=${file}_REHEARSAL ;; esac
secret='' note='' scratch=false
[ ! -e "${file}_REHEARSAL" ] || scratch=true
if [ -e "$file" ]; then
    [ -r "$file" ] || exit 4
    { IFS= read -r secret; IFS= read -r note; } <"$file"
elif [ ! -x "$folder" ]; then
    exit 4
fi
version=$(printf '%s\n%s' "$secret" "$note" | sha256sum)

case $verb in
read)
    printf '{"secret": "%s", "note": "%s", "version": "%s", ' "$secret" "$note" "${version%% *}"
    printf '"capabilities": ["compare-and-set", "notes", "scratch"], "scratch": %s}\n' "$scratch"
    [ -n "$secret" ] || exit 3 ;;
preflight)
    [ -w "$folder" ] || exit 4 ;;
write | note | remove)
    value expected '' && [ "$value" = "${version%% *}" ] || exit 6
    if [ "$verb" = remove ]; then secret=''; else value secret "$secret" && secret=$value; fi
    value note "$note" && note=$value
    if [ "$verb" = remove ] && [ -z "$note" ]; then
        rm -f "$file" || exit 4
        exit 0
    fi
    printf '%s\n%s\n' "$secret" "$note" 2>/dev/null >"$file.new" || exit 4
    mv "$file.new" "$file" || exit 4 ;;
*)
    exit 64 ;;
esac
