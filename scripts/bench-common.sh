# What the benches share: read by them, never run. Candidates take turns, medians count, and ratios within one run alone mean anything.
# shellcheck shell=sh

set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset CLOUD_PROVIDER BACKUP_PREFIX VB_STORE VB_SET VB_TABLE VB_JOBS 2>/dev/null || true
export PGSSLMODE=disable # the same transport for all: TCP on loopback, without TLS

# fill ROWS: the table of the main job, read once, so that every cache is as warm for the first candidate as for the last
fill() {
    echo "${0##*/}: filling $1 rows" >&2
    psql -q -f "$scripts/../tests/fixtures/weather.sql"
    psql -qAt -c "SELECT fill_verification_scores($1)" -c 'VACUUM ANALYZE verification_scores' >/dev/null
    psql -qc 'COPY verification_scores TO STDOUT (FORMAT binary)' >/dev/null
}
# timed NAME COMMAND LINE: one run of one candidate; its wall seconds go to NAME.seconds
timed() {
    name=$1 && shift
    /usr/bin/time -f %e -o "$work/seconds" sh -c "$*" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; exit 1; }
    tail -n 1 "$work/seconds" >>"$name.seconds"
}
# memory STAGE: wraps a stage of a pipe; its peak memory in KiB goes to STAGE.memory
memory='/usr/bin/time -a -f %M -o'
median() { sort -n "$1.seconds" | sed -n "$(((rounds + 1) / 2))p"; }
peak() { sort -n "$1.memory" | tail -n 1 | awk '{ printf "%.0f MB", $1 / 1024 }'; }
bytes() { find "$@" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }'; }
megabytes() { bytes "$1" | awk '{ printf "%.0f MB", $1 / 1e6 }'; }
of() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
