# syntax=docker/dockerfile:1
# The engine as one small image: docker build -t signalstream . && docker run --rm signalstream demo

FROM rust:1-slim-bookworm AS build
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update && apt-get install -y --no-install-recommends cmake g++ libclang-dev libssl-dev make pkg-config
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY schemas schemas
COPY topologies topologies
COPY benches benches
# The caches keep the dependencies, RocksDB's C++ above all, compiled from one build to the next; the binary is
# copied out because a cache is not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin signalstream && cp target/release/signalstream /usr/local/bin/signalstream

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/signalstream signalstream
COPY --from=build /usr/local/bin/signalstream /usr/local/bin/signalstream
COPY --chown=root:root schemas /usr/share/signalstream/schemas
COPY --chown=root:root topologies /usr/share/signalstream/topologies
COPY LICENSE /usr/share/doc/signalstream/LICENSE
USER 10001
WORKDIR /usr/share/signalstream
# State and the embedded log: `run --embedded /var/lib/signalstream` on a volume.
VOLUME /var/lib/signalstream
ENTRYPOINT ["signalstream"]
CMD ["--help"]
