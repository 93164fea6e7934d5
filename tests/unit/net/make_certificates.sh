#!/bin/sh
# Makes in the folder $1: an authority (ca), what it has signed: server, other (for another name), expired, client,
# address (for 127.0.0.1 only), rsa (with a key of that kind); and stranger, a second authority's client. Each as NAME.pem
# and NAME.key.
set -eu
cd "$1"

authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 2 \
		-subj "/CN=$1 of weir's tests" -addext basicConstraints=critical,CA:true
}
# authority name subjectAltName days [kind of key]
certificate() {
	openssl req -newkey ${5:-ec -pkeyopt ec_paramgen_curve:P-256} -nodes -keyout "$2.key" -out "$2.csr" -subj "/CN=$2"
	printf 'subjectAltName=%s\n' "$3" >"$2.ext"
	openssl x509 -req -in "$2.csr" -CA "$1.pem" -CAkey "$1.key" -CAcreateserial -out "$2.pem" -days "$4" -extfile "$2.ext"
}
{
	authority ca
	authority stranger_ca
	certificate ca server DNS:localhost,DNS:backend.example 2
	certificate ca address IP:127.0.0.1 2
	certificate ca other DNS:other.example 2
	certificate ca expired DNS:localhost -1
	certificate ca client DNS:client 2
	certificate ca rsa DNS:localhost 2 rsa:2048
	certificate stranger_ca stranger DNS:client 2
} 2>openssl.log || { cat openssl.log >&2; exit 1; }
