// Makes golden.json: bytes written by Kafka's own classes. Not needed to run the tests; to make it again:
//   javac -cp "$KAFKA_JARS" -d OUT MakeGoldenBytes.java
//   java -cp "OUT:$KAFKA_JARS" org.apache.kafka.connect.mirror.MakeGoldenBytes > golden.json
// It lives in Kafka's package because the serializers are visible only there.
package org.apache.kafka.connect.mirror;

import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.OffsetBackingStore;
import org.apache.kafka.connect.storage.OffsetStorageWriter;

public final class MakeGoldenBytes {
    private static final List<String> LINES = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        sync("orders", 3, 1000L, 900L);
        sync("a.b-c_d", 0, 0L, 0L);
        sync("wide", 2147483647, 9223372036854775806L, 4294967296L);
        checkpoint("g1", "east.orders", 3, 1000L, 900L, "m");
        checkpoint("gruppe-\u00e4\u00f6\u00fc-\u65e5\u672c", "orders", 0, 0L, 0L, "");
        checkpoint("line\nbreak\u001b[31m", "orders", 11, 123456789012L, 987654321098L, "state=\u2713");
        heartbeat("east", "west", 1700000000000L);
        heartbeat("a", "b", 0L);
        stored("orders.source", "east", "orders", 3, 41L);
        stored("f\u00fcr \"alle\"", "east", "a.b-c_d", 0, 0L);
        stored("orders.source", "east", "orders", 3, null);
        System.out.println("[\n  " + String.join(",\n  ", LINES) + "\n]");
    }

    private static void sync(String topic, int partition, long source, long target) {
        OffsetSync made = new OffsetSync(new TopicPartition(topic, partition), source, target);
        add("offset_sync", made.recordKey(), made.recordValue(), fields("topic", topic, "partition", partition,
            "source_offset", source, "target_offset", target));
    }

    private static void checkpoint(String group, String topic, int partition, long source, long target, String meta) {
        Checkpoint made = new Checkpoint(group, new TopicPartition(topic, partition), source, target, meta);
        add("checkpoint", made.recordKey(), made.recordValue(), fields("group", group, "topic", topic,
            "partition", partition, "source_offset", source, "target_offset", target, "metadata", meta));
    }

    private static void heartbeat(String source, String target, long timestamp) {
        Heartbeat made = new Heartbeat(source, target, timestamp);
        add("heartbeat", made.recordKey(), made.recordValue(), fields("source", source, "target", target,
            "timestamp_ms", timestamp));
    }

    private static void stored(String connector, String cluster, String topic, int partition, Long offset)
            throws Exception {
        Map<ByteBuffer, ByteBuffer> written = new HashMap<>();
        OffsetBackingStore store = (OffsetBackingStore) Proxy.newProxyInstance(
            MakeGoldenBytes.class.getClassLoader(), new Class<?>[] {OffsetBackingStore.class}, (self, method, given) -> {
                if (method.getName().equals("set")) {
                    ((Map<?, ?>) given[0]).forEach((key, value) -> written.put((ByteBuffer) key, (ByteBuffer) value));
                    return CompletableFuture.completedFuture(null);
                }
                return null;
            });
        OffsetStorageWriter writer = new OffsetStorageWriter(store, connector, converter(true), converter(false));
        Map<String, Object> source = MirrorUtils.wrapPartition(new TopicPartition(topic, partition), cluster);
        writer.offset(source, offset == null ? null : MirrorUtils.wrapOffset(offset));
        writer.beginFlush();
        writer.doFlush((error, result) -> { });
        for (Map.Entry<ByteBuffer, ByteBuffer> entry : written.entrySet()) {
            byte[] value = entry.getValue() == null ? null : entry.getValue().array();
            add("stored_offset", entry.getKey().array(), value, fields("connector", connector, "cluster", cluster,
                "topic", topic, "partition", partition, "offset", offset));
        }
    }

    private static JsonConverter converter(boolean isKey) {
        JsonConverter made = new JsonConverter();
        made.configure(Map.of("schemas.enable", "false"), isKey);
        return made;
    }

    private static String fields(Object... pairs) {
        List<String> made = new ArrayList<>();
        for (int i = 0; i < pairs.length; i += 2) {
            made.add("\"" + pairs[i] + "\": " + (pairs[i + 1] instanceof String text ? quoted(text) : pairs[i + 1]));
        }
        return "{" + String.join(", ", made) + "}";
    }

    private static String quoted(String text) {
        StringBuilder made = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            made.append(c < 32 || c > 126 || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : "" + c);
        }
        return made.append('"').toString();
    }

    private static void add(String kind, byte[] key, byte[] value, String fields) {
        String hex = value == null ? "null" : "\"" + HexFormat.of().formatHex(value) + "\"";
        LINES.add("{\"kind\": \"" + kind + "\", \"key\": \"" + HexFormat.of().formatHex(key) + "\", \"value\": " + hex
            + ", \"fields\": " + fields + "}");
    }
}
