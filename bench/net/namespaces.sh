#!/bin/sh
# Network namespaces for an engine and three nodes on one machine, with delay where the kernel has netem.
#
#   namespaces.sh up DELAY_MS       make them; each packet is delayed by DELAY_MS as it leaves (a round trip: twice)
#   namespaces.sh exec HOST CMD...  run a command in one: engine, node0, node1 or node2
#   namespaces.sh down              remove them
#
# Addresses: engine 10.77.0.10, node0 10.77.0.20, node1 10.77.0.21, node2 10.77.0.22. Needs root and iproute2.
# `up` ends with status 3 where the kernel has no netem: the namespaces are there, without delay. Put the proxy of
# `cargo run --release -p ward-bench --bin delay` between them then; README.md says how.
set -eu

BRIDGE=ward-br
HOSTS="engine:10 node0:20 node1:21 node2:22"

down() {
    for entry in $HOSTS; do
        ip netns del "ward-${entry%%:*}" 2>/dev/null || true
    done
    ip link del "$BRIDGE" 2>/dev/null || true
}

up() {
    delay_ms=$1
    case $delay_ms in
        '' | *[!0-9]*) echo "DELAY_MS is a number of milliseconds" >&2; exit 2 ;;
    esac
    down
    ip link add "$BRIDGE" type bridge
    ip addr add 10.77.0.1/24 dev "$BRIDGE"
    ip link set "$BRIDGE" up
    delayed=yes
    for entry in $HOSTS; do
        host=${entry%%:*}
        ip netns add "ward-$host"
        ip link add "wv-$host" type veth peer name eth0 netns "ward-$host"
        ip link set "wv-$host" master "$BRIDGE" up
        ip -n "ward-$host" addr add "10.77.0.${entry##*:}/24" dev eth0
        ip -n "ward-$host" link set eth0 up
        ip -n "ward-$host" link set lo up
        if [ "$delay_ms" -gt 0 ]; then
            # The queue holds what is under way at 1 Gbit/s and 100 ms; the default of 1000 packets would drop.
            tc -n "ward-$host" qdisc add dev eth0 root netem delay "${delay_ms}ms" limit 100000 2>/dev/null || delayed=no
        fi
    done
    if [ "$delayed" = no ]; then
        echo "this kernel has no netem: namespaces without delay" >&2
        exit 3
    fi
}

case ${1:-} in
    up) up "${2:-}" ;;
    down) down ;;
    exec)
        host=${2:?engine, node0, node1 or node2}
        shift 2
        exec ip netns exec "ward-$host" "$@"
        ;;
    *) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
