"""The benchmark's windows in Bytewax: one minute, {count, sum, mean, max} per user, told once when they close.

Arguments: broker, source topic, topic of the results, number of this process, addresses of all of them (joined by ";"),
folder of the recovery partitions. Says "running" on standard output with the first records it takes and "finished" when it has
written everything, and ends when its standard input does.
"""

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.run import cli_main
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
WINDOW = timedelta(minutes=1)
LATENESS = timedelta(seconds=10)
WINDOW_MS = 60_000
# Between two snapshots of the state, which at-least-once needs.
SNAPSHOT = timedelta(seconds=5)

broker, source, results, process, addresses, recovery = sys.argv[1:7]
running = False


def parsed(messages):
    """Key and (event time in seconds, amount) of each record."""
    global running
    if not running:
        running = True
        print('{"msg":"running"}', flush=True)
    loads = orjson.loads
    rows = []
    for message in messages:
        order = loads(message.value)
        rows.append((message.key.decode(), (order["at"] / 1_000, order["amount"])))
    return rows


def time_of(order):
    return datetime.fromtimestamp(order[0], timezone.utc)


def add(totals, order):
    amount = order[1]
    count, total, greatest = totals
    return (count + 1, total + amount, amount if amount > greatest else greatest)


def merged(one, other):
    return (one[0] + other[0], one[1] + other[1], max(one[2], other[2]))


def told(windows):
    messages = []
    for key, (window, (count, total, greatest)) in windows:
        start = window * WINDOW_MS
        result = {
            "key": int(key),
            "start": start,
            "end": start + WINDOW_MS,
            "count": count,
            "sum": total,
            "mean": total / count,
            "max": greatest,
        }
        messages.append(KafkaSinkMessage(key.encode(), orjson.dumps(result)))
    return messages


flow = Dataflow("tumbling")
messages = op.input("read", flow, KafkaSource([broker], [source], tail=False, batch_size=5_000))
orders = op.flat_map_batch("parse", messages, parsed)
# The watermark follows event time alone: by default it moves with the clock as well, and a pause would lose records.
clock = win.EventClock(time_of, LATENESS, now_getter=lambda: EPOCH, to_system_utc=lambda _: None)
windower = win.TumblingWindower(length=WINDOW, align_to=EPOCH)
totals = win.fold_window(
    "totals", orders, clock, windower, lambda: (0, 0.0, float("-inf")), add, merged, ordered=False
)
written = op.flat_map_batch("write", totals.down, told)
op.output("results", written, KafkaSink([broker], results))

cluster = addresses.split(";")
cli_main(
    flow,
    workers_per_process=1,
    process_id=int(process) if len(cluster) > 1 else None,
    addresses=cluster if len(cluster) > 1 else None,
    epoch_interval=SNAPSHOT,
    recovery_config=RecoveryConfig(Path(recovery)),
)
print('{"msg":"finished"}', flush=True)
sys.stdin.read()
