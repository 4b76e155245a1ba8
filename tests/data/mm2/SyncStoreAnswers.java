// Answers positions with Kafka's own OffsetSyncStore. Used by tests/unit/offsets/sync_store.py, which compiles it:
//   javac -cp "$KAFKA_JARS" -d OUT SyncStoreAnswers.java
// One log a line: the number of offsets to ask, then its syncs as source,target. One line is printed for each: the
// answer for every source offset from 0 on, -1 where the store has none.
// It lives in Kafka's package because the store can be filled by hand only there.
package org.apache.kafka.connect.mirror;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;

public final class SyncStoreAnswers {
    private static final TopicPartition ORDERS = new TopicPartition("orders", 0);

    private static final class FilledStore extends OffsetSyncStore {
        @Override
        void backingStoreStart() {
            // No topic to read: the syncs come from the line.
        }

        void take(long source, long target) {
            OffsetSync sync = new OffsetSync(ORDERS, source, target);
            handleRecord(new ConsumerRecord<>("syncs", 0, 0, sync.recordKey(), sync.recordValue()));
        }
    }

    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.US_ASCII);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(answersTo(line.split(" ")));
        }
        out.flush();
    }

    private static String answersTo(String[] words) {
        FilledStore store = new FilledStore();
        store.start(false);
        for (int i = 1; i < words.length; i++) {
            String[] sync = words[i].split(",");
            store.take(Long.parseLong(sync[0]), Long.parseLong(sync[1]));
        }
        long count = Long.parseLong(words[0]);
        StringBuilder answers = new StringBuilder();
        for (long offset = 0; offset < count; offset++) {
            answers.append(offset == 0 ? "" : " ").append(store.translateDownstream("group", ORDERS, offset).orElse(-1));
        }
        return answers.toString();
    }

    private SyncStoreAnswers() {
    }
}
