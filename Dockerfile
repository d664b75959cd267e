# The tag is the toolchain of rust-toolchain.toml. On Alpine Rust links the C library statically, so the binary needs
# nothing beside it.
ARG RUST_IMAGE=rust:1.95.0-alpine
FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
# What `registrar --version` says; scripts/build-image sets it.
ARG REGISTRAR_COMMIT=unknown
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin registrar && cp target/release/registrar /registrar

FROM scratch
# For a kubeconfig that names no certificate authority of its own.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /registrar /registrar
# Inside a container the default, loopback, could not be reached.
ENV REGISTRAR_LISTEN=[::]:8004 REGISTRAR_ADMIN_LISTEN=[::]:9004
EXPOSE 8004 9004
ARG REGISTRAR_COMMIT=unknown
LABEL org.opencontainers.image.title="registrar" \
      org.opencontainers.image.description="Publishes Kubernetes ServiceOffers as ERC-8004 agent registrations" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REGISTRAR_COMMIT}"
# For whatever runs this without Kubernetes, which probes /livez, /readyz and /startupz instead: healthy means that documents
# are served.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5m --retries=3 CMD ["/registrar", "status"]
USER 65532:65532
ENTRYPOINT ["/registrar"]
CMD ["serve"]
