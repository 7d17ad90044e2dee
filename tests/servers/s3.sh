# shellcheck shell=sh disable=SC2154
# What the S3 servers share; sourced after common.sh. A bucket `test`, an administrator, and a reader who may only read:
#
#   AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, S3_BUCKET_NAME   all that a client needs
#   VB_TEST_READER_KEY, VB_TEST_READER_SECRET                                                the reader's key and its secret

# share_s3 ACCESS_KEY: the variables, for the server at $port
share_s3() {
    unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL_S3 AWS_IGNORE_CONFIGURED_ENDPOINT_URLS
    share AWS_ENDPOINT_URL "http://127.0.0.1:$port"
    share AWS_ACCESS_KEY_ID "$1"
    share AWS_SECRET_ACCESS_KEY "$1-secret"
    share AWS_REGION us-east-1
    share S3_BUCKET_NAME test
    share VB_TEST_READER_KEY "$1-reader"
    share VB_TEST_READER_SECRET "$1-reader-secret"
}

# s3 METHOD PATH [CURL ARGUMENTS...]: one signed request; fails unless it succeeded
s3() {
    method=$1 path=$2
    shift 2
    curl --fail --silent --show-error --max-time 5 --noproxy '*' --aws-sigv4 "aws:amz:$AWS_REGION:s3" \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
        -X "$method" "$@" "$AWS_ENDPOINT_URL/$path"
}

# A gateway may answer before it can store anything: only a write tells.
write_and_delete() { s3 PUT test/ready -d ready && s3 DELETE test/ready; }
