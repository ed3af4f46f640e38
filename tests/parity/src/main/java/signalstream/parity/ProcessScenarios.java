package signalstream.parity;

import static signalstream.parity.Values.object;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** Processors: stores, what is known of a record, and calls at times. `processors.rs` has the same ones. */
final class ProcessScenarios {
    private ProcessScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("process", ProcessScenarios::process);
    }

    private static void process(StreamsBuilder builder) {
        builder.addStateStore(Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore("counts"), Serdes.String(), Serdes.Long()));
        builder.<String, JsonNode>stream("a").process(Counting::new, "counts").to("out");
    }

    /** Counts the records of each key, and tells and forgets the counts at times. */
    private static final class Counting implements Processor<String, JsonNode, String, JsonNode> {
        private ProcessorContext<String, JsonNode> context;
        private KeyValueStore<String, Long> counts;

        @Override
        public void init(ProcessorContext<String, JsonNode> given) {
            context = given;
            counts = given.getStateStore("counts");
            context.schedule(Duration.ofSeconds(10), PunctuationType.STREAM_TIME, time -> tell("stream", time));
            context.schedule(Duration.ofSeconds(7), PunctuationType.WALL_CLOCK_TIME, time -> tell("wall", time));
            context.schedule(
                    Instant.ofEpochMilli(2_500),
                    Duration.ofSeconds(60),
                    PunctuationType.WALL_CLOCK_TIME,
                    time -> tell("anchored", time));
        }

        @Override
        public void process(Record<String, JsonNode> record) {
            long count = 0;
            if (record.key() != null) {
                Long before = counts.get(record.key());
                count = before == null ? 1 : before + 1;
                counts.put(record.key(), count);
            }
            long offset = context.recordMetadata().orElseThrow().offset();
            context.forward(record.withValue(
                    object("count", count, "stream_time", context.currentStreamTimeMs(), "offset", offset)));
        }

        private void tell(String by, long time) {
            List<KeyValue<String, Long>> rows = new ArrayList<>();
            try (KeyValueIterator<String, Long> all = counts.all()) {
                all.forEachRemaining(rows::add);
            }
            for (KeyValue<String, Long> row : rows) {
                counts.delete(row.key);
                context.forward(new Record<>(row.key, object("by", by, "count", row.value), time));
            }
            context.forward(new Record<>("told", object("by", by, "stream_time", context.currentStreamTimeMs()), time));
        }
    }
}
