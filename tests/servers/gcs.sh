# shellcheck shell=sh disable=SC2154
# What the two servers that speak Google Cloud Storage share; sourced after common.sh. A bucket `test`, and no credentials:
#
#   STORAGE_EMULATOR_HOST, BACKUP_BUCKET   all that a client needs

# share_gcs: the variables, for the server at $port
share_gcs() {
    unset GOOGLE_APPLICATION_CREDENTIALS
    share STORAGE_EMULATOR_HOST "http://127.0.0.1:$port"
    share BACKUP_BUCKET test
}

# gcs METHOD PATH [CURL ARGUMENTS...]: one request; fails unless it succeeded
gcs() {
    method=$1 path=$2
    shift 2
    curl --fail --silent --show-error --max-time 5 --noproxy '*' -H 'content-type: application/json' \
        -X "$method" "$@" "$STORAGE_EMULATOR_HOST/storage/v1/b$path"
}

make_bucket() { gcs POST '?project=test' -d "{\"name\": \"$BACKUP_BUCKET\"}"; }
