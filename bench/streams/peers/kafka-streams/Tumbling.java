import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The benchmark's windows in Kafka Streams: one minute, {count, sum, mean, max} per user, told once when they close.
 *
 * <p>Arguments: broker, source topic, topic of the results, application id, folder of the state, number of threads,
 * "suppress" or "onWindowClose" (the two ways to tell a window once). Says "running" on standard output with the first record
 * it takes, and ends when its standard input does.
 */
public final class Tumbling {
  private static final Duration WINDOW = Duration.ofMinutes(1);
  private static final Duration GRACE = Duration.ofSeconds(10);
  private static final JsonFactory JSON = new JsonFactory();
  private static volatile boolean running = false;

  /** What the query needs of an event. */
  private record Order(long at, double amount) {}

  private record Totals(long count, double sum, double max) {
    Totals with(double amount) {
      return new Totals(count + 1, sum + amount, Math.max(max, amount));
    }
  }

  public static void main(String[] arguments) throws Exception {
    String source = arguments[1];
    String results = arguments[2];
    boolean suppress = arguments[6].equals("suppress");
    StreamsBuilder builder = new StreamsBuilder();
    TimeWindowedKStream<String, Order> windows =
        builder.stream(
                source,
                Consumed.with(Serdes.String(), Serdes.serdeFrom((topic, order) -> null, orders()))
                    .withTimestampExtractor((record, previous) -> ((Order) record.value()).at()))
            .groupByKey(Grouped.with(Serdes.String(), null))
            .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, GRACE));
    if (!suppress) windows = windows.emitStrategy(EmitStrategy.onWindowClose());
    KTable<Windowed<String>, Totals> closed =
        windows.aggregate(
            () -> new Totals(0, 0, Double.NEGATIVE_INFINITY),
            (user, order, totals) -> totals.with(order.amount()),
            openWindows());
    if (suppress) closed = closed.suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()));
    closed
        .toStream()
        .map(
            (window, totals) -> {
              String text =
                  "{\"key\":" + window.key()
                      + ",\"start\":" + window.window().start()
                      + ",\"end\":" + window.window().end()
                      + ",\"count\":" + totals.count()
                      + ",\"sum\":" + totals.sum()
                      + ",\"mean\":" + totals.sum() / totals.count()
                      + ",\"max\":" + totals.max()
                      + "}";
              return KeyValue.pair(window.key(), text);
            })
        .to(results, Produced.with(Serdes.String(), Serdes.String()));

    KafkaStreams streams = new KafkaStreams(builder.build(), settings(arguments));
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    streams.start();
    InputStream input = System.in;
    while (input.read() >= 0) {}
    streams.close(Duration.ofSeconds(10));
  }

  private static Properties settings(String[] arguments) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[3]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.parseInt(arguments[5]));
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
    settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
    // By default windows are told a second of the clock apart, and the last ones of a topic would not be told at all.
    settings.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 1 << 18);
    return settings;
  }

  /** Reads the two fields that are needed, token by token: the fastest way that Jackson has. */
  private static Deserializer<Order> orders() {
    return (topic, bytes) -> {
      if (!running) sayRunning();
      long at = 0;
      double amount = 0;
      try (JsonParser parser = JSON.createParser(bytes)) {
        parser.nextToken();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          parser.nextToken();
          if (name.equals("at")) at = parser.getLongValue();
          else if (name.equals("amount")) amount = parser.getDoubleValue();
        }
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
      return new Order(at, amount);
    };
  }

  private static Serde<Totals> totals() {
    return Serdes.serdeFrom(
        (topic, totals) ->
            totals == null
                ? null
                : ByteBuffer.allocate(24)
                    .putLong(totals.count())
                    .putDouble(totals.sum())
                    .putDouble(totals.max())
                    .array(),
        (topic, bytes) -> {
          if (bytes == null) return null;
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          return new Totals(buffer.getLong(), buffer.getDouble(), buffer.getDouble());
        });
  }

  private static synchronized void sayRunning() {
    if (running) return;
    running = true;
    System.out.println("{\"msg\":\"running\"}");
    System.out.flush();
  }

  /** In memory, with the changelog topic that recovery needs: RocksDB takes more CPU here. */
  private static Materialized<String, Totals, WindowStore<Bytes, byte[]>> openWindows() {
    return Materialized.<String, Totals>as(
            Stores.inMemoryWindowStore("windows", WINDOW.plus(GRACE), WINDOW, false))
        .withKeySerde(Serdes.String())
        .withValueSerde(totals())
        .withCachingEnabled();
  }
}
