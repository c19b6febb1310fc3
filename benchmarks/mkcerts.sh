#!/bin/sh
# mkcerts.sh DIR [ec|rsa]: a throw-away CA and leaf certificates for the TLS runs.
set -eu
dir=$1
kind=${2:-ec}
mkdir -p "$dir"
cd "$dir"

new_key() {
    case $kind in
    ec) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ;;
    *) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1" 2>/dev/null ;;
    esac
}

new_key ca.key
openssl req -x509 -new -key ca.key -days 30 -subj "/CN=sipx bench CA" -out ca.pem 2>/dev/null
for name in proxy uac uas; do
    new_key "$name.key"
    openssl req -new -key "$name.key" -subj "/CN=$name.example" -out "$name.csr" 2>/dev/null
    printf '%s\n' \
        "subjectAltName=DNS:$name.example,DNS:a.example,DNS:b.example,IP:127.0.0.1" \
        "extendedKeyUsage=serverAuth,clientAuth" >"$name.ext"
    openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
        -extfile "$name.ext" -out "$name.pem" 2>/dev/null
done
