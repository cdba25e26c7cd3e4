# The image of a node: the binary, the libraries that it is linked with, and the certificates of authorities that backups to
# S3 need. No shell and no package manager; it runs as nobody's user.
#
#   docker build --tag isogrid:0.1.0 .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package isogrid \
    && mkdir -p /image/usr/local/bin \
    && cp target/release/isogrid /image/usr/local/bin/ \
    && packaging/image-files /image

FROM scratch
COPY --from=build /image /
USER 65532:65532
# 7700 gRPC (TCP) and gossip (UDP), 7740 PostgreSQL's clients, 7780 HTTP.
EXPOSE 7700/tcp 7700/udp 7740/tcp 7780/tcp
ENTRYPOINT ["/usr/local/bin/isogrid"]
CMD ["start"]
