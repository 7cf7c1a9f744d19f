#!/usr/bin/env bash
# Makes the local cluster's keys, certificates and kubeconfigs.
#
# In:  nothing; paths and addresses come from lib.sh.
# Out: build/cluster/pki (made once, whole or not at all) and
#      build/cluster/*.kubeconfig (written every time).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command -v openssl >/dev/null || fail "openssl is missing: install the package openssl"
umask 077
mkdir -p "$STATE"
new=$STATE/pki.new

new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
plain_config=$'[req]\ndistinguished_name=dn\n[dn]\n' # nothing from the machine's openssl.cnf

# openssl_quiet ARGUMENT...: openssl, silent unless it fails.
openssl_quiet() {
  local output
  output=$(openssl "$@" 2>&1) || fail "openssl $1 failed: $output"
}

# certificate NAME SUBJECT [ALTERNATIVE-NAMES]: a key and a certificate signed
# by the authority, for clients, and for servers too if it has names.
certificate() {
  local name=$1 subject=$2 names=${3:-} extensions=()
  extensions+=(-addext "basicConstraints=critical,CA:FALSE" -addext "authorityKeyIdentifier=keyid")
  extensions+=(-addext "keyUsage=critical,digitalSignature")
  if [[ -n $names ]]; then
    extensions+=(-addext "extendedKeyUsage=clientAuth,serverAuth" -addext "subjectAltName=$names")
  else
    extensions+=(-addext "extendedKeyUsage=clientAuth")
  fi
  openssl_quiet req -x509 -config <(printf %s "$plain_config") "${new_key[@]}" -days 3650 \
    -CA "$new/ca.crt" -CAkey "$new/ca.key" -subj "$subject" "${extensions[@]}" \
    -keyout "$new/$name.key" -out "$new/$name.crt"
}

# kubeconfig NAME: build/cluster/NAME.kubeconfig, complete in itself.
kubeconfig() {
  local name=$1
  cat >"$STATE/$name.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: saga
clusters:
  - name: saga
    cluster:
      server: https://127.0.0.1:$PORT
      certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")
users:
  - name: $name
    user:
      client-certificate-data: $(base64 -w0 "$PKI/$name.crt")
      client-key-data: $(base64 -w0 "$PKI/$name.key")
contexts:
  - name: saga
    context: {cluster: saga, user: $name}
YAML
}

if [[ ! -e $PKI/dns.crt ]]; then # the youngest of them
  rm -rf "$new" && mkdir "$new"
  openssl_quiet req -x509 -config <(printf %s "$plain_config") "${new_key[@]}" -days 3650 -subj "/CN=saga-cluster" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -addext "subjectKeyIdentifier=hash" -keyout "$new/ca.key" -out "$new/ca.crt"

  names=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
  names+=,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:::1,IP:$SERVICE_API,IP:$GATEWAY
  certificate api-server /CN=kube-apiserver "$names"
  certificate api-server-to-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate admin /O=system:masters/CN=admin
  certificate controller-manager /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate proxy /CN=system:kube-proxy
  certificate dns /CN=saga-cluster:dns
  certificate node "/O=system:nodes/CN=system:node:$NODE_NAME" "DNS:$NODE_NAME,IP:$GATEWAY,IP:127.0.0.1"

  # The pair that signs and checks service account tokens.
  openssl_quiet genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$new/service-account.key"
  openssl_quiet pkey -in "$new/service-account.key" -pubout -out "$new/service-account.pub"
  rm -rf "$PKI"
  mv "$new" "$PKI"
fi

for name in admin controller-manager scheduler proxy dns node; do kubeconfig "$name"; done
