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
USER 65532:65532
ENTRYPOINT ["/registrar"]
CMD ["serve"]
