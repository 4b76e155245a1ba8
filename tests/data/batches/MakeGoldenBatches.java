// Writes golden.json: record batches made by Kafka's own classes, and the records they hold.
// Not run by the tests. With Kafka's client jars on CP:  java -cp "$CP" MakeGoldenBatches.java > golden.json

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

public class MakeGoldenBatches {
    static final long BASE = 5_000_000_000L;
    static final long TIME = 1_700_000_000_000L;

    public static void main(String[] args) {
        List<String> cases = new ArrayList<>();
        for (CompressionType type : CompressionType.values()) {
            cases.add(describe(type.name, make(type, TimestampType.CREATE_TIME, -1L, false, new long[] {0, 1, 2, 3, 4})));
        }
        cases.add(describe("append_time", make(CompressionType.LZ4, TimestampType.LOG_APPEND_TIME, TIME + 777, false, new long[] {0, 1, 2, 3, 4})));
        cases.add(describe("transactional", make(CompressionType.NONE, TimestampType.CREATE_TIME, -1L, true, new long[] {0, 1, 2, 3, 4})));
        cases.add(describe("sparse", make(CompressionType.NONE, TimestampType.CREATE_TIME, -1L, false, new long[] {0, 2, 3, 70, 900})));
        cases.add(describe("commit_marker", marker(ControlRecordType.COMMIT)));
        cases.add(describe("abort_marker", marker(ControlRecordType.ABORT)));
        System.out.println("[\n" + String.join(",\n", cases) + "\n]");
    }

    static MemoryRecords make(CompressionType type, TimestampType time, long appended, boolean isTransactional, long[] deltas) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
        long producer = isTransactional ? 4711L : RecordBatch.NO_PRODUCER_ID;
        short epoch = isTransactional ? (short) 3 : RecordBatch.NO_PRODUCER_EPOCH;
        int sequence = isTransactional ? 12 : RecordBatch.NO_SEQUENCE;
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, RecordBatch.MAGIC_VALUE_V2, Compression.of(type).build(),
            time, BASE, appended, producer, epoch, sequence, isTransactional, false, 7);
        byte[] large = "0123456789abcdef".repeat(40).getBytes(StandardCharsets.UTF_8);
        Header[] none = new Header[0];
        Header[] some = {new RecordHeader("h", null), new RecordHeader("", new byte[0]), new RecordHeader("ключ", new byte[] {0, -1})};
        builder.appendWithOffset(BASE + deltas[0], TIME, bytes("key"), bytes("value"), none);
        builder.appendWithOffset(BASE + deltas[1], TIME + 5, null, bytes("no key"), some);
        builder.appendWithOffset(BASE + deltas[2], TIME - 1000, bytes("tombstone"), null, none);
        builder.appendWithOffset(BASE + deltas[3], TIME + 3_000_000_000L, new byte[0], new byte[0], none);
        builder.appendWithOffset(BASE + deltas[4], TIME, bytes("large"), large, none);
        return builder.build();
    }

    static MemoryRecords marker(ControlRecordType type) {
        return MemoryRecords.withEndTransactionMarker(BASE, TIME, 7, 4711L, (short) 3, new EndTransactionMarker(type, 9));
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String describe(String name, MemoryRecords records) {
        MutableRecordBatch batch = records.batches().iterator().next();
        List<String> rows = new ArrayList<>();
        for (Record record : batch) {
            List<String> headers = new ArrayList<>();
            for (Header header : record.headers()) {
                headers.add("[" + text(header.key().getBytes(StandardCharsets.UTF_8)) + ", " + text(header.value()) + "]");
            }
            rows.add("    {\"offset\": " + record.offset() + ", \"timestamp_ms\": " + record.timestamp() + ", \"key\": " + text(array(record.key()))
                + ", \"value\": " + text(array(record.value())) + ", \"headers\": [" + String.join(", ", headers) + "]}");
        }
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] raw = new byte[buffer.remaining()];
        buffer.get(raw);
        return "  {\"name\": \"" + name + "\", \"base_offset\": " + batch.baseOffset() + ", \"next_offset\": " + batch.nextOffset()
            + ", \"max_timestamp\": " + batch.maxTimestamp() + ", \"producer_id\": " + batch.producerId() + ", \"is_transactional\": " + batch.isTransactional()
            + ", \"is_control\": " + batch.isControlBatch() + ", \"crc\": " + batch.checksum() + ",\n   \"batch\": " + text(raw)
            + ",\n   \"records\": [\n" + String.join(",\n", rows) + "]}";
    }

    static byte[] array(ByteBuffer buffer) {
        if (buffer == null) {
            return null;
        }
        byte[] raw = new byte[buffer.remaining()];
        buffer.duplicate().get(raw);
        return raw;
    }

    static String text(byte[] raw) {
        return raw == null ? "null" : "\"" + Base64.getEncoder().encodeToString(raw) + "\"";
    }
}
