# Debian's PostgreSQL, Redis and Prometheus, for `deploy/try`: they stand in for the official images.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN apt-get update --quiet --quiet \
    && mkdir -p /etc/postgresql-common \
    && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
    && DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends \
        postgresql prometheus redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -m 0777 /prometheus
COPY deploy/without-a-registry/postgres-entrypoint /usr/local/bin/
