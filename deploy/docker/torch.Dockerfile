# The image of inference and finetune; which one a container is, its command says.
ARG BASE_IMAGE=python:3.11-slim

# uv and protoc: as for the slim image, whose steps these are.
FROM ${BASE_IMAGE} AS tools
WORKDIR /hearth
COPY deploy/requirements/uv.txt deploy/requirements/build.txt deploy/requirements/
COPY deploy/install-packages.sh deploy/
RUN python -m venv /boot \
    && /boot/bin/pip install -q --no-cache-dir --no-deps --only-binary :all: --require-hashes -r deploy/requirements/uv.txt \
    && UV_NO_CACHE=1 deploy/install-packages.sh /boot /tools deploy/requirements/build.txt
COPY proto proto
RUN mkdir -p services/cluster/pb/v1 \
    && /tools/bin/python -m grpc_tools.protoc -Iservices/cluster/pb=proto --python_out=. --grpc_python_out=. proto/v1/*.proto

# cpu, or cuda: the CUDA libraries come with the packages, the driver from the host.
FROM tools AS packages
ARG DEVICE=cpu
COPY deploy/requirements/torch-${DEVICE}.txt deploy/requirements/torch-cpu-wheel.txt deploy/requirements/
RUN UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 deploy/install-packages.sh /boot /opt/hearth deploy/requirements/torch-${DEVICE}.txt

FROM packages AS code
COPY services/__init__.py services/
COPY services/cluster services/cluster
COPY services/finetune services/finetune
COPY services/inference services/inference
RUN /opt/hearth/bin/python -m compileall -q services

FROM ${BASE_IMAGE}
ARG DEVICE=cpu
# vLLM's CPU build links libnuma; Triton, which only GPUs use, compiles its launchers where it runs.
RUN apt-get update -q \
    && apt-get install -q -y --no-install-recommends $([ "$DEVICE" = cuda ] && echo gcc libc6-dev || echo libnuma1) \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --home-dir /tmp --no-create-home hearth \
    && install -d -o hearth -g hearth -m 0700 /perm_storage
ENV PATH=/opt/hearth/bin:$PATH \
    HEARTH_DATA_DIR=/perm_storage \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=packages /opt/hearth /opt/hearth
COPY --from=code /hearth/services /hearth/services
WORKDIR /hearth
USER 10001:10001
