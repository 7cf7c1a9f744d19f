#!/usr/bin/env bash
# Carries the samples of examples/ through on a running cluster and shows what happens while it happens.
#
# Needs the Saga resource installed, an operator and the sample shop running, and from the environment:
#   KUBECONFIG   the cluster (or kubectl's own default)
#   SHOP         host:port of the shop, as the operator, the pods and this script reach it
#   NAMESPACE    where the samples run; default saga-examples
#   NODE         ready: all samples | absent: only those that need no pod; default ready
#   SERVICES     names: all samples, as they are: the operator runs in the cluster | ready: all samples, Services called by address: it runs
#                beside the cluster | absent: only those that call no Service, where the operator reaches none; default: as NODE
#   KUBECTL      default kubectl
#   PATIENCE     seconds until the samples must have ended; default 180
#
# The last lines on stdout are `NAME PHASE PROGRESS`, one for each sample that ran. Ends with 0 if each ended as it should and the shop's
# ledger, or for a release the cluster, says the same; what is wrong goes to stderr.
set -euo pipefail

SHOP=${SHOP:?set SHOP to the host:port of the sample shop}
NAMESPACE=${NAMESPACE:-saga-examples}
NODE=${NODE:-ready}
SERVICES=${SERVICES:-$NODE}
KUBECTL=${KUBECTL:-kubectl}
PATIENCE=${PATIENCE:-180}
examples=$(cd "$(dirname "$0")/../../examples" && pwd)

names=()
declare -A file=() phase=() ledger=() live=() approved=() children=()

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

# child NAME STEP PHASE DONE UNDONE IN_EFFECT: how the child saga of a sample's step must end, as above.
child() {
  children[$1]=$2
  phase[$1/$2]=$3
  ledger[$1/$2]="{\"done\":$(list "$4"),\"undone\":$(list "$5"),\"inEffect\":$(list "$6"),\"doneTwice\":[],\"refused\":[],\"faults\":[]}"
}

# release FILE NAME PHASE APP COLOUR VERSION: how a sample must end that is about an application, and which version of it is there then.
# Where it asks for an approval, it gets it.
release() {
  names+=("$2")
  file[$2]=$1
  phase[$2]=$3
  live[$2]="$4 $5 $6"
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
sample order-checkout-declined.yaml order-1050 Compensated 'reserve-stock' 'reserve-stock' '' 'charge-card'
sample database-release.yaml database-release-7 Completed 'back-up migrate switch' '' 'back-up migrate switch' ''
sample database-release-failing.yaml database-release-8 Compensated 'back-up migrate' 'migrate back-up' '' ''
release blue-green.yaml web-release-2 Completed web green 2
release blue-green-failing.yaml cart-release-5 Compensated cart green 4
sample tenant-onboarding.yaml tenant-acme Completed 'bill welcome' '' 'bill welcome' ''
child tenant-acme provision Completed 'mailbox database user' '' 'database mailbox user'
sample tenant-onboarding-failing.yaml tenant-globex Compensated '' '' '' 'bill'
child tenant-globex provision Compensated 'mailbox database user' 'user mailbox database' ''

k() { "$KUBECTL" --namespace "$NAMESPACE" "$@"; }

complain() {
  echo "$*" >&2
  failed=1
}

# skip PATTERN REASON: the samples that hold the pattern, taken out of `names` and named in one sentence.
skip() {
  local name skipped=() kept=()
  for name in "${names[@]}"; do
    if grep --quiet "$1" "$examples/${file[$name]}"; then
      skipped+=("$name")
      unset "live[$name]"
    else
      kept+=("$name")
    fi
  done
  names=("${kept[@]}")
  local sentence="${skipped[*]}"
  [[ -z $sentence ]] || echo "Skipped, since $2: ${sentence// /, }."
}

# Takes earlier samples away, as they are: the shop that would undo them may be gone. This needs the operator, which lets them go.
clean() {
  "$KUBECTL" get namespace "$NAMESPACE" >/dev/null 2>&1 || "$KUBECTL" create namespace "$NAMESPACE"
  local name scope
  for scope in $(k get sagas --output 'jsonpath={.items[*].spec.idempotencyPrefix}'); do
    curl --silent --show-error --fail --max-time 10 --request DELETE "http://$SHOP/ledger?scope=$scope"
  done
  for name in $(k get sagas --output name); do
    k patch "$name" --type merge --patch '{"spec":{"deletionPolicy":"Abandon"}}' >/dev/null
  done
  k delete sagas "${names[@]}" --ignore-not-found --timeout=60s
  k delete deployments --selector 'app in (web, cart)' --ignore-not-found # what earlier releases left
  for name in "${names[@]}"; do
    curl --silent --show-error --fail --max-time 10 --request DELETE "http://$SHOP/ledger?scope=$name"
  done
}

# apply NAME...: these samples and other files in one go, as they are in the repository but for the shop's address and the namespace. The name
# of a Service means nothing outside of the cluster: where the operator runs there, its address stands for it.
apply() {
  local name services
  services="s|\.saga-examples\.svc/|.$NAMESPACE.svc/|;"
  [[ $SERVICES == names ]] ||
    services=$(k get services --output 'jsonpath={range .items[*]}s|http://{.metadata.name}.saga-examples.svc/|http://{.spec.clusterIP}/|;{end}')
  for name in "$@"; do
    sed "$services s/shop\.example:8090/$SHOP/g; s/namespace: saga-examples/namespace: $NAMESPACE/" "$examples/${file[$name]-$name}"
    echo ---
  done | k apply --filename -
}

# Applies what the samples find, and the samples.
apply_all() {
  apply service-account.yaml tenant-account.yaml payments-secret.yaml
  if ((${#live[@]})); then
    apply blue-green-before.yaml
    k wait deployments --selector 'app in (web, cart)' --for condition=Available --timeout 60s
  fi
  apply "${names[@]}"
}

# approve NAME: as a person would who reads the message of the saga, once.
approve() {
  [[ ! -v approved[$1] ]] || return 0
  approved[$1]=1
  k annotate --overwrite "saga/$1" saga.dev/approve=sign-off >/dev/null
  printf '%(%H:%M:%S)T  %-18s  %s\n' -1 "$1" 'annotated with saga.dev/approve=sign-off'
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
    if [[ $reason == AwaitingApproval && ${phase[$name]} != Running ]]; then
      approve "$name"
      continue
    fi
    # It stands still: at its end, or until a person acts.
    if [[ ($now == "${phase[$name]}" && $now != Running) || $reason == AwaitingApproval || $ready == True || $stalled == True ]]; then
      ended[$name]=1
    else
      unset "ended[$name]"
    fi
  done
}

# What became of the child saga of a sample, where it has one.
check_child() {
  local step=${children[$1]-} child is
  [[ $step ]] || return 0
  read -r child is <<<"$(k get saga "$1" --output "jsonpath={range .status.steps[?(@.name==\"$step\")].child}{.name} {.phase}{end}")"
  if [[ $is == "${phase[$1/$step]}" ]]; then
    check_ledger "$1/$step" "$child"
  else
    complain "$1: the child ${child:-of step $step} should be ${phase[$1/$step]} and is ${is:-not there}"
  fi
}

# check_ledger NAME [SAGA]: what the shop remembers of a saga: of its prefix, or of its UID where it has none.
check_ledger() {
  local name=$1 saga=${2:-$1} scope summary
  scope=$(k get saga "$saga" --output 'jsonpath={.spec.idempotencyPrefix}')
  scope=${scope:-$(k get saga "$saga" --output 'jsonpath={.metadata.uid}')}
  summary=$(curl --silent --show-error --fail --max-time 10 "http://$SHOP/ledger/summary?scope=$scope")
  if [[ $summary == "{\"$scope\":${ledger[$name]}}" ]]; then return; fi
  complain "$name: the shop's ledger is not as it should be."
  complain "  should be: {\"$scope\":${ledger[$name]}}"
  complain "  is:        $summary"
}

# What became of an application: the only Deployment is that of the colour, made by the saga; both Services select it, and it answers.
check_release() {
  local name=$1 app colour version is service address deadline=$((SECONDS + 10))
  read -r app colour version <<<"${live[$name]}"
  is=$(k get deployments --selector "app=$app" --output 'jsonpath={range .items[*]}{.metadata.name} {.status.readyReplicas}{end}')
  if [[ $is != "$app-$colour 2" ]]; then
    complain "$name: the Deployments should be $app-$colour with 2 replicas, and are: ${is:-none}"
    return
  fi
  is=$(k get "saga/$name" "deployment/$app-$colour" --output 'jsonpath={range .items[*]}{.metadata.creationTimestamp} {end}')
  [[ ${is% * } < ${is#* } ]] || complain "$name: $app-$colour is not of its making: saga and Deployment are of $is"
  is=$(k get saga "$name" --output 'jsonpath={.status.stillInEffect}')
  [[ $is == '[]' ]] || complain "$name: in effect should be nothing, and is $is"
  for service in "$app" "$app-preview"; do
    read -r is address <<<"$(k get service "$service" --output 'jsonpath={.spec.selector.colour} {.spec.clusterIP}')"
    [[ $is == "$colour" ]] || complain "$name: Service $service should select $colour, and selects $is"
    until is=$(curl --silent --max-time 2 "http://$address/" || true); [[ $is == "{\"colour\": \"$colour\", \"version\": \"$version\"}" ]]; do
      ((SECONDS < deadline)) || { complain "$name: behind Service $service answers: $is"; break; }
      sleep 0.2
    done
  done
}

[[ $NODE =~ ^(ready|absent)$ ]] || { echo "NODE is \"$NODE\": write ready or absent" >&2; exit 2; }
[[ $SERVICES =~ ^(names|ready|absent)$ ]] || { echo "SERVICES is \"$SERVICES\": write names, ready or absent" >&2; exit 2; }
failed=0
clean
[[ $NODE == ready ]] || skip '^ *pod:\|kind: Deployment' "they need pods and this cluster has no node"
[[ $SERVICES != absent ]] || skip 'saga-examples\.svc' "they call Services, which are not reached from here"

open_watch
trap close_watch EXIT
apply_all
echo
follow
echo

results=()
for name in "${names[@]}"; do
  IFS=/ read -r is progress <<<"$(k get saga "$name" --output 'jsonpath={.status.phase}/{.status.progress}')"
  results+=("$name ${is:--} ${progress:--}")
  if [[ $is == "${phase[$name]}" ]]; then
    if [[ -v live[$name] ]]; then check_release "$name"; else check_ledger "$name"; fi
    check_child "$name"
  else
    complain "$name should be ${phase[$name]} and is ${is:-not seen by an operator}: $(k get saga "$name" --output 'jsonpath={.status.message}')"
  fi
done
((failed)) || echo "Every sample ended as it should, and the shop's ledger and the cluster say the same: nothing was done twice."
printf '%s\n' "${results[@]}"
exit "$failed"
