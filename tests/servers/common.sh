# shellcheck shell=sh
# What the server scripts beside this file share; sourced by them, never run.
#
#     tests/servers/NAME [--] COMMAND ARGS...   start the server, run COMMAND with the variables that reach it, stop it
#     tests/servers/NAME --hold                 print those variables as NAME=value lines, then `ready`; stop at end of file on stdin
#
# Everything a server writes lies in one fresh folder. `keep`, a process session of its own, owns server and folder and ends
# both when the script ends, however it ends: the writing end of a pipe (descriptor 8) is the script's sign of life.

set -eu
umask 022
here=$(cd "${0%/*}" && pwd)
name=${0##*/}
folder='' keeper='' child=''
# where scripts/setup puts the servers that come from PyPI and npm
PATH=$PATH:${HOME:-/}/.cache/vb/python/bin:${HOME:-/}/.cache/vb/node/node_modules/.bin

fail() {
    printf '%s: %s\n' "$name" "$1" >&2
    exit 1
}

# need PROGRAM...: fail unless all of them can be run
need() {
    for program; do
        command -v "$program" >/dev/null || fail "needs $program
hint: Run scripts/setup test, which installs what is missing."
    done
}

# begin ARGS...: check the command line, make $folder, and see to it that it goes again
begin() {
    [ $# -gt 0 ] || {
        printf 'usage: %s [--] COMMAND ARGS...\n       %s --hold\n' "$name" "$name" >&2
        exit 2
    }
    trap finish EXIT
    trap 'interrupted 1' HUP
    trap 'interrupted 2' INT
    trap 'interrupted 15' TERM
    folder=$(mktemp -d "${TMPDIR:-/tmp}/vb-$name.XXXXXX")
    chmod 755 "$folder"
}

# Sets $port to the first of eight neighbouring free ports. The eight belong to this process id, so that starts in parallel
# never try the same ones, and lie below the range from which the kernel serves outgoing connections.
choose_ports() {
    block=$$
    while port=$((10000 + block % 2750 * 8)); do
        if [ $((port % 16)) -eq 0 ]; then digit='[0-7]'; else digit='[8-F]'; fi
        pattern=$(printf '^ *[0-9]+: [0-9A-F]+:%03X%s ' $((port / 16)) "$digit")
        cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -Eq "$pattern" || break
        block=$((block + 1117))
    done
}

# keep SIGNAL COMMAND ARGS...: start the server, in $folder, to be ended by SIGNAL
keep() {
    mkfifo "$folder/alive"
    exec 8<>"$folder/alive" # both ways, so that opening it waits for nobody
    exec 9<"$folder/alive"
    setsid "$here/keep" "$folder" "$@" <&9 >/dev/null 2>&1 8>&- 9<&- &
    keeper=$!
    exec 9<&-
}

# wait_for COMMAND ARGS...: until it succeeds; fail when the server ends or a minute passes
wait_for() {
    deadline=$(($(date +%s) + 60))
    until "$@" >"$folder/probe" 2>&1; do
        [ ! -e "$folder/ended" ] || not_ready 'the server ended before it was ready'
        [ "$(date +%s)" -lt "$deadline" ] || not_ready 'the server was not ready within a minute'
        sleep 0.05
    done
}

not_ready() {
    tail -n 20 "$folder/log" "$folder/probe" >&2
    fail "$1"
}

# share NAME VALUE: export a variable to COMMAND and to the reader of --hold
share() {
    export "$1=$2"
    printf '%s=%s\n' "$1" "$2" >>"$folder/environment"
}

# run [--] COMMAND ARGS...: the script's last step; exits with COMMAND's status
run() {
    # shellcheck disable=SC2016 # the inner shell expands it
    case $1 in
    --) shift ;;
    --hold) set -- sh -c 'cat "$1"; echo ready; cat >/dev/null' hold "$folder/environment" ;;
    esac
    # In the background, so that a signal to this script alone is seen at once; such a child would read nothing and ignore Ctrl-C.
    exec 3<&0
    env --default-signal=INT,QUIT "$@" <&3 3<&- 8>&- &
    child=$!
    exec 3<&-
    status=0
    wait "$child" || status=$?
    child=
    exit "$status"
}

interrupted() {
    trap '' HUP INT TERM
    if [ -n "$child" ]; then
        kill -s TERM "$child" 2>/dev/null || :
        wait "$child" || :
    fi
    exit $((128 + $1))
}

finish() {
    status=$?
    trap '' HUP INT TERM
    exec 8>&-
    [ -z "$keeper" ] || wait "$keeper" || :
    [ -z "$folder" ] || rm -rf "$folder"
    exit "$status"
}
