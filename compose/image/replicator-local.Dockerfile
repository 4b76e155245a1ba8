# The supervisor from this machine's Python and installed packages: no image is pulled, no index is asked.
FROM scratch
COPY rootfs/ /
COPY python/ /opt/python/
COPY packages/ /opt/replicator/
COPY --chown=1000:1000 home/ /var/lib/replicator/
COPY sources/ /opt/replicator/
ENV PATH=/opt/python/bin:/bin:/usr/bin PYTHONPATH=/opt/replicator PYTHONUTF8=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/replicator LANG=C.UTF-8 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 1000:1000
WORKDIR /var/lib/replicator
ENTRYPOINT ["replicator"]
CMD ["run"]
