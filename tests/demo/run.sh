#!/usr/bin/env bash
# Carries the samples of examples/ through on a running cluster and shows what happens while it happens.
#
# Needs the Saga resource installed, an operator and the sample shop running, and from the environment:
#   KUBECONFIG   the cluster (or kubectl's own default)
#   SHOP         host:port of the shop, as the operator, the pods and this script reach it
#   NAMESPACE    where the samples run; default saga-examples
#   NODE         ready: all samples | absent: only those whose steps need no pod; default ready
#   KUBECTL      default kubectl
#   PATIENCE     seconds until the samples must have ended; default 180
#
# The last lines on stdout are `NAME PHASE PROGRESS`, one for each sample that ran. Ends with 0 if each ended as it should and the shop's
# ledger says the same; what is wrong goes to stderr.
set -euo pipefail

SHOP=${SHOP:?set SHOP to the host:port of the sample shop}
NAMESPACE=${NAMESPACE:-saga-examples}
NODE=${NODE:-ready}
KUBECTL=${KUBECTL:-kubectl}
PATIENCE=${PATIENCE:-180}
examples=$(cd "$(dirname "$0")/../../examples" && pwd)

names=()
declare -A file=() phase=() ledger=()

# sample FILE NAME PHASE DONE UNDONE IN_EFFECT REFUSED: how a sample must end, and the steps that the shop must remember, in order. One that
# must end Running must wait for an approval.
# Nothing may be done twice, and no rule of idempotent calls be broken.
sample() {
  local name=$2
  names+=("$name")
  file[$name]=$1
  phase[$name]=$3
  ledger[$name]="{\"done\":$(list "$4"),\"undone\":$(list "$5"),\"inEffect\":$(list "$6"),\"doneTwice\":[],\"refused\":$(list "$7"),\"faults\":[]}"
}

# list 'a b' -> ["a","b"]
list() {
  local words=${1:+\"${1// /\",\"}\"}
  echo "[$words]"
}

all='reserve-stock charge-card ship thank'
sample order-checkout.yaml order-1042 Completed "$all" '' 'charge-card reserve-stock ship thank' ''
sample order-checkout-retrying.yaml order-1043 Completed "$all" '' 'charge-card reserve-stock ship thank' 'charge-card charge-card'
sample order-checkout-failing.yaml order-1044 Compensated 'reserve-stock charge-card' 'charge-card reserve-stock' '' 'ship ship'
sample order-checkout-held.yaml order-1045 Failed 'reserve-stock' '' 'reserve-stock' 'charge-card'
sample order-http.yaml order-1046 Completed 'reserve-stock charge-card ship' '' 'charge-card reserve-stock ship' ''
sample order-checkout-approval.yaml order-1047 Running 'reserve-stock' '' 'reserve-stock' ''
sample database-release.yaml database-release-7 Completed 'back-up migrate switch' '' 'back-up migrate switch' ''
sample database-release-failing.yaml database-release-8 Compensated 'back-up migrate' 'migrate back-up' '' ''

k() { "$KUBECTL" --namespace "$NAMESPACE" "$@"; }

complain() {
  echo "$*" >&2
  failed=1
}

# The samples whose steps run pods, taken out of `names` and named in one sentence.
skip_pods() {
  local name skipped=() kept=()
  for name in "${names[@]}"; do
    if grep --quiet '^ *pod:' "$examples/${file[$name]}"; then skipped+=("$name"); else kept+=("$name"); fi
  done
  names=("${kept[@]}")
  local sentence="${skipped[*]}"
  echo "Skipped, since their steps run pods and this cluster has no node: ${sentence// /, }."
}

# Takes earlier samples away, as they are: the shop that would undo them may be gone. This needs the operator, which lets them go.
clean() {
  "$KUBECTL" get namespace "$NAMESPACE" >/dev/null 2>&1 || "$KUBECTL" create namespace "$NAMESPACE"
  local name
  for name in $(k get sagas --output name); do
    k patch "$name" --type merge --patch '{"spec":{"deletionPolicy":"Abandon"}}' >/dev/null
  done
  k delete sagas "${names[@]}" --ignore-not-found --timeout=60s
  for name in "${names[@]}"; do
    curl --silent --show-error --fail --max-time 10 --request DELETE "http://$SHOP/ledger?scope=$name"
  done
}

# All the samples in one go, as they are in the repository but for the shop's address and the namespace.
apply() {
  local name
  for name in service-account.yaml payments-secret.yaml "${names[@]}"; do
    sed "s/shop\.example:8090/$SHOP/g; s/namespace: saga-examples/namespace: $NAMESPACE/" "$examples/${file[$name]-$name}"
    echo ---
  done | k apply --filename -
}

# Sets `stream` to a descriptor from which every change of a saga is read as one line, and `watcher` to the process that writes it.
open_watch() {
  local columns='NAME:.metadata.name,PHASE:.status.phase,PROGRESS:.status.progress'
  columns+=',READY:.status.conditions[?(@.type=="Ready")].status,REASON:.status.conditions[?(@.type=="Ready")].reason,STALLED:.status.conditions[?(@.type=="Stalled")].status,MESSAGE:.status.message'
  exec {stream}< <(exec "$KUBECTL" --namespace "$NAMESPACE" get sagas --watch --no-headers --output "custom-columns=$columns" 2>/dev/null)
  watcher=$!
}

close_watch() {
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
  exec {stream}<&-
}

# Prints every change of a sample until all stand still, as they should or for good, or time is up.
follow() {
  local deadline=$((SECONDS + PATIENCE)) left name now progress ready reason stalled message line
  local -A shown=() ended=()
  printf '%-8s  %-18s  %-18s  %-8s  %s\n' TIME SAGA PHASE PROGRESS MESSAGE
  while ((left = deadline - SECONDS, left > 0 && ${#ended[@]} < ${#names[@]})); do
    if ! read -r -t "$left" -u "$stream" name now progress ready reason stalled message; then
      # Time is up, or the server ended the watch: begin it again, but not in a tight loop.
      close_watch
      sleep 1
      open_watch
      continue
    fi
    [[ -v phase[$name] ]] || continue
    [[ $progress != '<none>' ]] || progress=-
    [[ $message != '<none>' ]] || message=
    line=$(printf '%-18s  %-18s  %-8s  %s' "$name" "${now/<none>/-}" "$progress" "$message")
    if [[ ${shown[$name]-} != "$line" ]]; then
      shown[$name]=$line
      printf '%(%H:%M:%S)T  %s\n' -1 "$line"
    fi
    # It stands still: at its end, or until a person acts.
    if [[ ($now == "${phase[$name]}" && $now != Running) || $reason == AwaitingApproval || $ready == True || $stalled == True ]]; then
      ended[$name]=1
    else
      unset "ended[$name]"
    fi
  done
}

# What the shop remembers of a saga: of its prefix, or of its UID where it has none.
check_ledger() {
  local name=$1 scope summary
  scope=$(k get saga "$name" --output 'jsonpath={.spec.idempotencyPrefix}')
  scope=${scope:-$(k get saga "$name" --output 'jsonpath={.metadata.uid}')}
  summary=$(curl --silent --show-error --fail --max-time 10 "http://$SHOP/ledger/summary?scope=$scope")
  if [[ $summary == "{\"$scope\":${ledger[$name]}}" ]]; then return; fi
  complain "$name: the shop's ledger is not as it should be."
  complain "  should be: {\"$scope\":${ledger[$name]}}"
  complain "  is:        $summary"
}

if [[ $NODE != ready && $NODE != absent ]]; then
  echo "NODE is \"$NODE\": write ready or absent" >&2
  exit 2
fi
failed=0
clean
[[ $NODE == ready ]] || skip_pods

open_watch
trap close_watch EXIT
apply
echo
follow
echo

results=()
for name in "${names[@]}"; do
  IFS=/ read -r is progress <<<"$(k get saga "$name" --output 'jsonpath={.status.phase}/{.status.progress}')"
  results+=("$name ${is:--} ${progress:--}")
  if [[ $is == "${phase[$name]}" ]]; then
    check_ledger "$name"
  else
    complain "$name should be ${phase[$name]} and is ${is:-not seen by an operator}: $(k get saga "$name" --output 'jsonpath={.status.message}')"
  fi
done
((failed)) || echo "Every sample ended as it should, and the shop's ledger says the same: nothing was done twice."
printf '%s\n' "${results[@]}"
exit "$failed"
