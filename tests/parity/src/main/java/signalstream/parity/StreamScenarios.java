package signalstream.parity;

import static signalstream.parity.Values.k;
import static signalstream.parity.Values.n;
import static signalstream.parity.Values.object;
import static signalstream.parity.Values.s;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;

/** Steps of a stream that keep nothing. */
final class StreamScenarios {
    private StreamScenarios() {}

    static void register(Scenarios scenarios) {
        scenarios.add("filter", StreamScenarios::filter);
        scenarios.add("map", StreamScenarios::map);
        scenarios.add("flat_map", StreamScenarios::flatMap);
        scenarios.add("merge_branch", StreamScenarios::mergeBranch);
        scenarios.add("repartition", StreamScenarios::repartition);
        scenarios.add("headers_topics", StreamScenarios::headersTopics);
        scenarios.add("topics_pattern", StreamScenarios::topicsPattern);
    }

    private static void filter(StreamsBuilder builder) {
        KStream<String, JsonNode> in = builder.stream("a");
        in.filter((key, value) -> value != null && n(value) > 2).to("kept");
        in.filterNot((key, value) -> value != null && n(value) > 2).to("rest");
        in.filter((key, value) -> key != null).filterNot((key, value) -> key.equals("x")).to("named");
    }

    private static void map(StreamsBuilder builder) {
        KStream<String, JsonNode> in = builder.stream("a");
        in.<String, JsonNode>map((key, value) -> KeyValue.pair(
                        k(value), object("n", value == null ? 0 : n(value) * 2, "from", key)))
                .to("mapped");
        in.<JsonNode>mapValues(value -> object("n", value == null ? -1 : n(value) + 1)).to("values");
        in.selectKey((key, value) -> k(value)).to("keys");
    }

    private static void flatMap(StreamsBuilder builder) {
        KStream<String, JsonNode> in = builder.stream("a");
        in.<JsonNode>flatMapValues(value -> value == null || n(value) < 0
                        ? List.of()
                        : List.of(object("s", s(value), "part", 1), object("s", s(value), "part", 2)))
                .to("values");
        in.<String, JsonNode>flatMap((key, value) -> value == null
                        ? List.of()
                        : List.of(
                                KeyValue.pair(k(value), object("s", s(value))),
                                KeyValue.pair(key, object("s", s(value)))))
                .to("pairs");
    }

    private static void mergeBranch(StreamsBuilder builder) {
        KStream<String, JsonNode> a = builder.stream("a");
        KStream<String, JsonNode> b = builder.stream("b");
        KStream<String, JsonNode> all = a.merge(b);
        all.to("all");
        all.split()
                .branch((key, value) -> value == null, Branched.withConsumer(branch -> branch.to("nothing")))
                .branch((key, value) -> n(value) > 4, Branched.withConsumer(branch -> branch.to("high")))
                .branch((key, value) -> n(value) > 0, Branched.withConsumer(branch -> branch.to("low")))
                .defaultBranch(Branched.withConsumer(branch -> branch.to("rest")));
        all.split().branch((key, value) -> value != null && n(value) % 2 == 0, Branched.withConsumer(even -> even.to("even")));
    }

    private static void headersTopics(StreamsBuilder builder) {
        KStream<String, JsonNode> in = builder.stream(List.of("a", "b"));
        KStream<String, JsonNode> marked = in.processValues(Marking::new);
        marked.to("marked");
        marked.filter((key, value) -> value != null).to((key, value, context) -> n(value) > 2 ? "high" : "low");
        marked.selectKey((key, value) -> k(value)).repartition().to("rerouted");
        marked.groupByKey().count().toStream().mapValues(Values::counted).to("counted");
    }

    /** All topics whose names match, as one stream. */
    private static void topicsPattern(StreamsBuilder builder) {
        KStream<String, JsonNode> in = builder.stream(Pattern.compile("[ab]"));
        in.processValues(Marking::new).to("marked");
        Values.write(
                in.groupByKey().aggregate(Values::empty, (key, value, state) -> Values.add(state, value)), "texts");
        in.join(Values.table(builder, "c"), Values::pair).to("joined");
    }

    /** Sets the headers `trace` and `from`, and removes `secret`. */
    private static final class Marking extends ContextualFixedKeyProcessor<String, JsonNode, JsonNode> {
        @Override
        public void process(FixedKeyRecord<String, JsonNode> record) {
            Headers headers = new RecordHeaders(record.headers());
            Header trace = headers.lastHeader("trace");
            String seen = trace == null ? "new" : new String(trace.value(), StandardCharsets.UTF_8) + "/seen";
            String from = context().recordMetadata().orElseThrow().topic();
            headers.remove("trace").remove("secret").remove("from");
            headers.add("trace", seen.getBytes(StandardCharsets.UTF_8));
            headers.add("from", from.getBytes(StandardCharsets.UTF_8));
            context().forward(record.withHeaders(headers));
        }
    }

    private static void repartition(StreamsBuilder builder) {
        KStream<String, JsonNode> in = builder.stream("a");
        in.selectKey((key, value) -> k(value)).repartition().to("out");
    }
}
