# The server with its built-in engine, as an ordinary user. `docker compose up` starts it beside PostgreSQL and Redis, see
# docs/run-a-server.md. Alone it is one worker on SQLite:
#   docker build -t voxgate . && docker run --init -p 127.0.0.1:8000:8000 -v voxgate:/var/lib/voxgate voxgate
# Debian's own Python is what the project is tested with, and Debian keeps it patched.
FROM debian:bookworm-slim AS build
# On ARM pycld2 has no wheel, and is compiled.
# hadolint ignore=DL3008,SC2086 # Debian keeps one version at a time: a pinned one is gone at its next fix
RUN case "$(dpkg --print-architecture)" in amd64) compiler= ;; *) compiler="g++ python3.11-dev" ;; esac \
    && apt-get update \
    && apt-get install --no-install-recommends --yes ca-certificates python3.11-venv $compiler \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/voxgate
COPY . .
RUN scripts/install python3.11 .venv serve \
    && .venv/bin/python -m compileall -q plugins policies proxy speech_engine

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends --yes ca-certificates python3.11 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/voxgate --shell /usr/sbin/nologin voxgate \
    && install --directory --owner=voxgate --group=voxgate --mode=0700 /var/lib/voxgate /run/voxgate
COPY --from=build /opt/voxgate /opt/voxgate
COPY config.toml /etc/voxgate/config.toml
ENV PATH=/opt/voxgate/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    VOXGATE_CONFIG=/etc/voxgate/config.toml \
    VOXGATE_SERVER__DATA=/var/lib/voxgate \
    VOXGATE_SERVER__HOST=0.0.0.0 \
    XDG_CACHE_HOME=/var/lib/voxgate/.cache \
    XDG_RUNTIME_DIR=/run/voxgate
# By number, so that an orchestrator sees that it is not root.
USER 10001:10001
VOLUME /var/lib/voxgate
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=600s CMD ["python3.11", "/opt/voxgate/deploy/healthcheck.py"]
# The first start fetches natural voices into the volume, as this user; without a network espeak speaks.
CMD ["voxgate", "serve", "--voices", "natural"]
