# The agent as an image: node, the libraries it needs, the compiled agent. No shell, no package manager, no compiler.
#   docker buildx build --platform linux/amd64,linux/arm64 -t whodns .
# BASE: Debian 12 with Node >= 22.15 and npm; only the build stage uses it.
# How to run it: docs/deployment.md.
ARG BASE=docker.io/library/node:24-bookworm

FROM ${BASE} AS build
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates binutils \
    make g++ clang-14 llvm-14 libbpf-dev libelf-dev zlib1g-dev bpftool && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY bpf bpf
COPY native native
COPY packaging packaging
COPY src src
COPY data data
RUN native/setup.sh build && strip --strip-debug build/whodns.node build/whodns-inspector && cp node_modules/node/bin/node /usr/local/bin/whodns-node
COPY deploy/image.sh deploy/image.sh
RUN sh deploy/image.sh /image

FROM scratch
LABEL org.opencontainers.image.title="whodns" org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.description="Which process asked DNS for which name, and what it was told"
COPY --from=build /image/ /
# replay, config and help need no right. To capture: uid 0 with four capabilities, or any uid with them as ambient ones.
USER 65532:65532
WORKDIR /
# Nothing is written but the spool and the control socket, if configured: mount volumes for them.
ENTRYPOINT ["/usr/local/bin/node", "/opt/whodns/dist/main.js"]
