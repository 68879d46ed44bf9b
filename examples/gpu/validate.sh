#!/usr/bin/env bash
# Holds the simulator against a real GPU: starts the example servers, times their models,
# calibrates, simulates and drives the same requests, and writes a document.
#
#   examples/gpu/validate.sh            with PyTorch: on every GPU, else small on the CPU
#   examples/gpu/validate.sh --fake     stand-ins that only sleep, to try the path
#
# HORIZON (60s) is the length of one run, REPLICAS the number of servers (one per GPU,
# else 2), OUT the document: docs/validation-gpu.md with a GPU, else a file below runs/.
# Without PyTorch the programs are only checked for syntax. Exit codes are taillab's.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=examples/gpu
python=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1

if ! command -v "$python" >/dev/null; then
	echo "gpu-validate: there is no $python here: skipped"
	exit 0
fi
kind=fake device="stand-ins that only sleep" gpus=0
if [ "${1-}" != --fake ]; then
	if ! "$python" -c 'import torch' 2>/dev/null; then
		for f in "$here"/*.py; do
			"$python" -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$f"
		done
		echo "gpu-validate: PyTorch is not installed: only the syntax of the servers was checked (--fake tries the path without it)"
		exit 0
	fi
	gpus=$("$python" -c 'import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)')
	kind=cpu device="CPU, tiny models, PyTorch $("$python" -c 'import torch; print(torch.__version__)')"
	if [ "$gpus" -gt 0 ]; then
		kind=gpu device=$("$python" -c 'import torch; print(f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}, PyTorch {torch.__version__}")')
		if command -v nvidia-smi >/dev/null; then
			device="$device, driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1)"
		fi
	fi
fi
replicas=${REPLICAS:-$((gpus > 0 ? gpus : 2))}
horizon=${HORIZON:-60s}
out=${OUT:-$([ "$kind" = gpu ] && echo docs/validation-gpu.md || echo "runs/validation-$kind.md")}

work=$(mktemp -d)
servers=()
finish() {
	for pid in ${servers[@]+"${servers[@]}"}; do kill "$pid" 2>/dev/null || true; done
	rm -rf "$work"
}
trap finish EXIT

${GO:-go} build -o "$work/taillab" ./cmd/taillab

# start MODEL starts the servers of a model, one after another, and sets urls. The first
# one times the model before it serves, while nothing else runs.
start() {
	urls=() servers=()
	local i flags pid
	for ((i = 0; i < replicas; i++)); do
		flags=(--models "$1" --port 0)
		[ "$kind" = fake ] && flags+=(--fake)
		[ "$kind" = gpu ] && flags+=(--device "cuda:$((i % gpus))")
		[ "$i" = 0 ] && flags+=(--profiles "$work")
		"$python" "$here/server.py" "${flags[@]}" >"$work/$1-$i.log" 2>&1 &
		pid=$!
		servers+=("$pid")
		until grep -q '^listening on ' "$work/$1-$i.log"; do
			kill -0 "$pid" 2>/dev/null || { echo "gpu-validate: server $i did not start:" >&2; cat "$work/$1-$i.log" >&2; exit 3; }
			sleep 0.2
		done
		urls+=("$(sed -n 's/^listening on \([^ ]*\).*/\1/p' "$work/$1-$i.log")")
	done
}

stop() {
	for pid in "${servers[@]}"; do kill "$pid"; done
	for pid in "${servers[@]}"; do wait "$pid" || true; done
	servers=()
}

worst=0
# validate MODEL SCENARIO TARGETS TITLE measures one model and appends a section.
validate() {
	start "$1"
	sed -e "s|^    profile: .*|    profile: $work/$1.yaml|" -e '/^    targets:/q' "$here/$3" >"$work/$1-targets.yaml"
	printf '      - %s\n' "${urls[@]}" >>"$work/$1-targets.yaml"
	"$work/taillab" calibrate "$work/$1-targets.yaml" --profile "$work/$1-overhead.yaml" >"$work/$1-calibrate.txt"
	local code=0 some=()
	[ "$replicas" = 1 ] && some=(--only policy=random) # there is nothing to choose from
	"$work/taillab" run "$here/$2" --live "$work/$1-targets.yaml" --both --profile "$work/$1-overhead.yaml" \
		--set "fleet.gpu=$(cat "$work/$1.yaml")" --set "fleet.replicas=$replicas" --set "measure.horizon=$horizon" \
		--set 'gates=[]' ${some[@]+"${some[@]}"} -o runs --format md >"$work/$1.md" || code=$?
	stop
	[ "$code" = 2 ] && exit 2
	if [ "$code" -gt "$worst" ]; then worst=$code; fi
	{
		printf '\n## %s\n\nTimed by the server itself, before it served:\n\n```yaml\n' "$4"
		cat "$work/$1.yaml"
		printf '```\n\n`taillab calibrate`: %s\n\n' "$(head -n 1 "$work/$1-calibrate.txt" | tr -s ' ')"
		cat "$work/$1.md"
	} >>"$work/document.md"
}

validate encoder scenario.yaml targets.yaml "Encoder with dynamic batching, KServe v2"
validate chat chat.yaml chat-targets.yaml "Decoder with continuous batching, OpenAI streams"

mkdir -p "$(dirname "$out")"
{
	cat <<-DOC
		# The simulator against a server on $([ "$kind" = gpu ] && echo "a GPU" || echo "$device")

		Written by \`make gpu-validate\`: the models and the servers are those of \`$here\`, the
		simulated twin has the profiles below and has seen nothing else of the measurement.

		| | |
		|---|---|
		| device | $device |
		| machine | $(uname -srm), $(nproc 2>/dev/null || sysctl -n hw.ncpu) cores; clients and servers share it |
		| replicas | $replicas, on $gpus GPUs |
		| commit | $(git rev-parse --short HEAD 2>/dev/null || echo unknown)$(git diff --quiet HEAD 2>/dev/null || echo ", changed") |
		| seed, length | 1, $horizon per run |
		| date | $(date -u +%Y-%m-%d) |
	DOC
	cat "$work/document.md"
} >"$out"
echo "gpu-validate: $out"
[ "$worst" = 0 ] || echo "gpu-validate: taillab ended with exit code $worst; $out says why" >&2
exit "$worst"
