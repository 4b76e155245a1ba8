# S3Proxy: an S3 server that keeps objects in a folder. On any image with a Java runtime at JAVA_HOME.
ARG BASE=apache/kafka:4.3.1
FROM ${BASE}
COPY libs/ /opt/s3proxy/libs/
COPY logback.xml /opt/s3proxy/
COPY --chown=1000:1000 data/ /var/lib/s3/
USER 1000:1000
WORKDIR /var/lib/s3
CMD ["/bin/sh", "-c", "mkdir -p /var/lib/s3/replicator && exec $JAVA_HOME/bin/java -Xmx192m -Dlogback.configurationFile=/opt/s3proxy/logback.xml -cp '/opt/s3proxy/libs/*' org.gaul.s3proxy.Main --properties /etc/s3proxy.properties"]
