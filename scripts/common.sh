# What the flows share: read by them, never run. Plain sh; no pipe here needs pipefail, because a stage only ends well
# if the stage before it proved that it finished.
# shellcheck shell=sh

set -u

# fail CODE WORDS: says them, and ends the flow
fail() { code=$1 && shift && printf '%s\n' "${0##*/}: $*" >&2 && exit "$code"; }

# yes_or_no NAME [WORD]: the variable becomes yes, or empty for no, or stays WORD
yes_or_no() {
    eval "value=\${$1:-}"
    case $value in
    yes | true | 1) value=yes ;;
    no | false | 0 | '') value='' ;;
    "${2:-yes}") ;;
    *) fail 2 "$1 is yes${2:+, $2} or no, not $value" ;;
    esac
    eval "$1=\$value"
}

# On make's command line it is STORE; the commands know it as VB_STORE.
[ -z "${STORE:-}" ] || export VB_STORE="$STORE"
# vb-export knows one word for it.
[ -z "${VB_ROW_HASH:-}" ] || { yes_or_no VB_ROW_HASH && export VB_ROW_HASH="${VB_ROW_HASH:-no}"; }

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
    [ -z "${TABLE:-}" ] || fail 2 "it knows TABLES, not TABLE
hint: Give TABLES=\"$TABLE\"."
    count=0 failed=0
    for table in $tables; do
        count=$((count + 1))
        "$1" "$table" || { code=$? failed=$((failed + 1)); echo "${0##*/}: $table failed with exit code $code" >&2; }
    done
    [ $failed -eq 0 ] || { [ $count -eq 1 ] && exit "$code"; exit 3; }
}

# newest OPTION…: the id of the one backup that vb-ls finds with these options
newest() {
    ids=$(vb-ls --ids "$@") || exit
    [ "$(printf '%s\n' "$ids" | wc -l)" -eq 1 ] || fail 2 "the store holds several sets
hint: Give ID, or name one of them in VB_SET:$(printf '%s\n' "$ids" | sed 's/_[0-9]*_[0-9]*$//; s/^/ /' | sort | tr -d '\n')."
    printf '%s\n' "$ids"
}
