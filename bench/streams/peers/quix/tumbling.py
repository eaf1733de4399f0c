"""The benchmark's windows in Quix Streams: one minute, {count, sum, mean, max} per user, told once when they close.

Arguments: broker, source topic, topic of the results, its partitions, consumer group, folder of the state. Says "running" on
standard output with the first record it takes, and ends with SIGTERM.
"""

import sys

from quixstreams import Application
from quixstreams.models import TopicConfig

WINDOW_MS = 60_000
GRACE_MS = 10_000

broker, source, results, partitions, group, state = sys.argv[1:7]
running = False


def time_of(order, headers, timestamp, timestamp_type):
    """Event time, ms."""
    global running
    if not running:
        running = True
        print('{"msg":"running"}', flush=True)
    return order["at"]


def first(order):
    amount = order["amount"]
    return [1, amount, amount]


def add(totals, order):
    """One list of totals: half the cost of four aggregations side by side."""
    amount = order["amount"]
    return [totals[0] + 1, totals[1] + amount, amount if amount > totals[2] else totals[2]]


def result(window, user, timestamp, headers):
    count, total, greatest = window["value"]
    return {
        "key": int(user),
        "start": window["start"],
        "end": window["end"],
        "count": count,
        "sum": total,
        "mean": total / count,
        "max": greatest,
    }


application = Application(
    broker_address=broker,
    consumer_group=group,
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    state_dir=state,
    commit_interval=1.0,
    loglevel="WARNING",
    consumer_poll_timeout=0.1,
)
orders = application.topic(
    source, key_deserializer="bytes", value_deserializer="json", timestamp_extractor=time_of
)
windows = application.topic(
    results, key_serializer="bytes", value_serializer="json", config=TopicConfig(int(partitions), 1)
)
stream = application.dataframe(orders)
stream = stream.tumbling_window(WINDOW_MS, GRACE_MS).reduce(add, first)
stream = stream.final(closing_strategy="partition")
stream = stream.apply(result, metadata=True)
stream.to_topic(windows)
application.run()
