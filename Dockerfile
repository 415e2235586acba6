# The agent as an image: built on Debian 12, run on its slim variant without compiler, shell tools or npm.
# docker build -t whodns .        (linux/amd64, linux/arm64)
# docker run --rm --pid=host --network=host --cap-drop=ALL --cap-add=BPF --cap-add=PERFMON --cap-add=SYS_PTRACE \
#   --cap-add=DAC_READ_SEARCH -v /sys/kernel/btf:/sys/kernel/btf:ro -v /etc/passwd:/etc/passwd:ro -v /etc/machine-id:/etc/machine-id:ro \
#   -e OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 whodns
# BPF and PERFMON: load and attach. SYS_PTRACE and DAC_READ_SEARCH: /proc/PID/environ of other users' processes (service.name).
# --pid=host: the pids the kernel reports are the host's. --network=host: no network of its own is needed but the way to the collector.

FROM debian:bookworm AS build
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates nodejs npm \
    make g++ clang-14 llvm-14 libbpf-dev libelf-dev zlib1g-dev bpftool && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --no-audit --no-fund
COPY bpf bpf
COPY native native
COPY src src
RUN native/setup.sh build \
 && cp node_modules/node/bin/node /usr/local/bin/node \
 && npm prune --omit=dev --no-audit --no-fund

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libbpf1 libelf1 zlib1g \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /src/package.json /opt/whodns/package.json
COPY --from=build /src/node_modules /opt/whodns/node_modules
COPY --from=build /src/build/dns.bpf.o /src/build/whodns.node /opt/whodns/build/
COPY --from=build /src/dist /opt/whodns/dist
# Nothing is written but the spool, if one is configured: mount a volume for it.
ENTRYPOINT ["node", "/opt/whodns/dist/main.js"]
