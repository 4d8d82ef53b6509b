#!/usr/bin/env bash
# Creates a certificate authority, and a certificate for each name, to try out TLS with Kafka and Redis:
#
#   operations/tls/certificates.sh <folder> <name>...
#
# <folder>/ca.pem      the authority's certificate, which everyone trusts; one that exists is used again
# <folder>/ca.key      its private key: whoever has it can pass for anyone
# <folder>/<name>.pem  private key and certificate of a server or client, for the host <name> and for localhost
set -euo pipefail
umask 077

if [ $# -lt 2 ] || [[ ${*:2} == */* ]]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mkdir -p "$1"
cd "$1"
shift

key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

if [ ! -e ca.pem ]; then
  openssl req -x509 "${key[@]}" -keyout ca.key -subj "/CN=agent-coordinator CA" -days 3650 -out ca.pem
  chmod 644 ca.pem
fi
for name in "$@"; do
  printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' "$name" > extensions
  openssl req "${key[@]}" -keyout "$name.pem" -subj "/CN=$name" -out request
  openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile extensions >> "$name.pem"
  rm request extensions
done
