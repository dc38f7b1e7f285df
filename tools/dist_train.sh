#!/usr/bin/env bash
# Train with several processes on this machine, or on each of several:
#     tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# PORT, NNODES, NODE_RANK and MASTER_ADDR say where they meet.
set -eu
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [arguments of train.py]" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2
shift 2
HERE=$(cd "$(dirname "$0")" && pwd)

PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}" \
exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --nproc_per_node="$GPUS" \
    --master_port="${PORT:-29500}" \
    "$HERE/train.py" "$CONFIG" --launcher pytorch "$@"
