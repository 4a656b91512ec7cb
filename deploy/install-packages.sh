#!/usr/bin/env bash
# install-packages.sh BOOT ENVIRONMENT FILE...: makes ENVIRONMENT hold what the requirement files name, and no more.
# BOOT is a virtual environment with pip and uv. Used by `make` and by the images.
set -euo pipefail
boot=$1 environment=$2
shift 2
"$boot/bin/uv" venv --quiet --allow-existing --prompt hearth --python "$boot/bin/python" "$environment"

# PyTorch's CPU build is on no package index that is set up by default. It is taken from a folder that pip is
# configured with, if there is one; else uv knows where PyTorch publishes it (--torch-backend).
case " $* " in *torch-cpu.txt*)
	wheel=$(dirname "$0")/requirements/torch-cpu-wheel.txt
	"$boot/bin/pip" --python "$environment/bin/python" install --quiet --quiet --disable-pip-version-check --no-index \
		--no-deps --no-compile --require-hashes -r "$wheel" 2>/dev/null || set -- --torch-backend cpu "$@"
	set -- "$@" "$wheel"
esac

"$boot/bin/uv" pip sync --quiet --python "$environment/bin/python" --require-hashes --only-binary :all: "$@"
