# SPDX-License-Identifier: Apache-2.0
# What the shop's programs share: answering HTTP, asking the store, and stopping at once when told to.

version=$(cat /app/version)

# stay COMMAND…: runs it and ends on TERM. The first process of a container ignores every signal it has no handler for,
# so without this each stop would last until Docker's ten seconds are over.
stay() {
    "$@" &
    child=$!
    trap 'kill "$child" 2>/dev/null; exit 0' TERM INT
    wait "$child"
}

# serve PORT: one process per connection, /app/answer with the socket as its stdin and stdout.
serve() { stay nc -ll -p "$1" -e /app/answer; }

# request: reads one request from stdin into $method $path $token $body.
request() {
    IFS=' ' read -r method path _
    length=0 token=''
    while IFS= read -r line; do
        line=${line%$'\r'}
        case $line in
            '') break ;;
            [Cc]ontent-[Ll]ength:*) length=${line#*: } ;;
            [Aa]uthorization:*) token=${line#*Bearer } ;;
        esac
    done
    body=$(head -c "$length")
}

# answer STATUS TEXT [TYPE]: writes the one answer to stdout.
answer() {
    printf 'HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n' \
        "$1" "${3:-text/plain}" "$((${#2} + 1))" "$2"
}

# get URL, post URL TEXT: the answer's body; not zero where there is none. The store wants to know who asks.
# (`timeout` and not wget's own -T: Debian's static busybox crashes on it.)
get() { timeout 3 wget -q -O - --header "Authorization: Bearer $DB_PASSWORD" "$1" 2>/dev/null; }
post() { timeout 3 wget -q -O - --header "Authorization: Bearer $DB_PASSWORD" --post-data "$2" "$1" 2>/dev/null; }

log() { echo "$*" >&2; }
