# What the flows share: read by them, never run. Plain sh; no pipe here needs pipefail, because a stage only ends well
# if the stage before it proved that it finished.
# shellcheck shell=sh

set -u
# On make's command line it is STORE; the commands know it as VB_STORE.
[ -z "${STORE:-}" ] || export VB_STORE="$STORE"

tables=${TABLES:-${VB_TABLE:-verification_scores}}
state=${STATE:-data}

# mark_of TABLE: the file that keeps where the table's next incremental starts
mark_of() {
    case $1 in
    verification_scores) echo "$state/.last_backup" ;;
    *) echo "$state/.last_backup.$1" ;;
    esac
}

# each_table COMMAND: runs it for every table. One that fails does not stop the others; then the exit code is 3,
# or with a single table that table's own.
each_table() {
    count=0 failed=0
    for table in $tables; do
        count=$((count + 1))
        "$1" "$table" || { code=$? failed=$((failed + 1)); echo "${0##*/}: $table failed with exit code $code" >&2; }
    done
    [ $failed -eq 0 ] || { [ $count -eq 1 ] && exit "$code"; exit 3; }
}
