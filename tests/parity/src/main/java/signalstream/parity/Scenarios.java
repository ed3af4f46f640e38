package signalstream.parity;

import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;

/** The topologies of {@code tests/parity/scenarios/} as Kafka Streams' own builder makes them, by name. */
final class Scenarios {
    private final Map<String, Supplier<Topology>> topologies = new TreeMap<>();

    private Scenarios() {}

    static Map<String, Supplier<Topology>> all() {
        Scenarios scenarios = new Scenarios();
        StreamScenarios.register(scenarios);
        TableScenarios.register(scenarios);
        AggregateScenarios.register(scenarios);
        NamedAggregateScenarios.register(scenarios);
        WindowScenarios.register(scenarios);
        SessionScenarios.register(scenarios);
        JoinScenarios.register(scenarios);
        StreamJoinScenarios.register(scenarios);
        SuppressScenarios.register(scenarios);
        ProcessScenarios.register(scenarios);
        return scenarios.topologies;
    }

    void add(String name, Consumer<StreamsBuilder> build) {
        topologies.put(name, () -> {
            StreamsBuilder builder = new StreamsBuilder();
            build.accept(builder);
            return builder.build();
        });
    }
}
