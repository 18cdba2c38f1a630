# One image for gateway, stream and sinks: `docker run the-eye gateway`.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY schemas schemas
COPY gateway gateway
COPY stream stream
COPY sinks sinks
COPY eye eye
RUN python -m venv /eye && /eye/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.13-slim
RUN useradd --system --home-dir /var/lib/eye --create-home eye && mkdir /etc/eye /var/lib/eye/spool && chown eye /etc/eye /var/lib/eye/spool
COPY --from=build /eye /eye
USER eye
WORKDIR /var/lib/eye
ENV PATH=/eye/bin:$PATH EYE_DATA_DIR=/var/lib/eye EYE_GATEWAY_HOST=0.0.0.0 EYE_WORKER_HOST=0.0.0.0
ENTRYPOINT ["eye"]
CMD ["--help"]
