#!/bin/sh
# Values that come as files, as Docker's and Kubernetes' secrets do: NAME_FILE=/run/secrets/x sets NAME to what the file holds.
# So they stand in no image, no compose file and no `docker inspect`.
set -eu
for pair in $(env | grep -E '^[A-Za-z_][A-Za-z0-9_]*_FILE=/run/secrets/' || true); do
    name=${pair%%_FILE=*}
    file=${pair#*=}
    if ! value=$(cat "$file"); then
        echo "ipai-entrypoint: $file, which ${name}_FILE names, cannot be read by user $(id -u). Next: let it be (see integrations/docker/README.md)." >&2
        exit 78
    fi
    export "$name=$value"
done
exec "$@"
