# The image of gateway, webui and datascan; which one a container is, its command says.
ARG BASE_IMAGE=python:3.11-slim

# uv, protoc and node: none of them gets into the image.
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

# Compiled here, because nothing can be written where the image runs.
FROM tools AS packages
COPY deploy/requirements/slim.txt deploy/requirements/
RUN UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 deploy/install-packages.sh /boot /opt/hearth deploy/requirements/slim.txt

FROM packages AS code
ENV PATH=/tools/bin:$PATH
COPY services/webui/package.json services/webui/package-lock.json services/webui/.npmrc services/webui/
RUN npm --prefix services/webui ci --no-fund --no-audit --loglevel error
COPY services/__init__.py services/
COPY services/cluster services/cluster
COPY services/datascan services/datascan
COPY services/gateway services/gateway
COPY services/webui services/webui
RUN /opt/hearth/bin/python -m services.gateway.openapi > services/webui/openapi.json \
    && npm --prefix services/webui run --silent build \
    && find services/webui -mindepth 1 -maxdepth 1 ! -name '*.py' ! -name dist -exec rm -rf {} + \
    && /opt/hearth/bin/python -m compileall -q services

FROM ${BASE_IMAGE}
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
