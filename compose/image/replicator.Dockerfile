# The supervisor for people who can pull an image and reach a package index.
ARG BASE=python:3.11-slim
FROM ${BASE}
WORKDIR /opt/replicator
COPY requirements/ requirements/
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.lock \
 && pip install --no-cache-dir --no-deps --no-build-isolation --require-hashes -r requirements.lock
COPY . ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
 && mkdir -p /var/lib/replicator && chown 1000:1000 /var/lib/replicator
ENV HOME=/var/lib/replicator
USER 1000:1000
WORKDIR /var/lib/replicator
ENTRYPOINT ["replicator"]
CMD ["run"]
