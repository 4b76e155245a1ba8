# Kafka on the paths of apache/kafka, from files of this machine: no image is pulled.
FROM scratch
COPY rootfs/ /
COPY jre/ /opt/java/openjdk/
COPY --chown=1000:1000 data/ /var/lib/kafka/
COPY kafka/ /opt/kafka/
ENV PATH=/opt/kafka/bin:/opt/java/openjdk/bin:/bin:/usr/bin JAVA_HOME=/opt/java/openjdk LANG=C.UTF-8
USER 1000:1000
WORKDIR /opt/kafka
CMD ["/opt/kafka/bin/connect-distributed.sh", "/opt/kafka/config/connect-distributed.properties"]
