"""Writes the four dashboards beside it: `python deploy/grafana/dashboards.py`. A test says that they are as this file has them.

Knows what an operator wants to see, and PromQL.
"""

from __future__ import annotations

import json
from pathlib import Path

from panels import BAD_GOOD, GOOD_BAD, RATE, STATES, Panel, bars, dashboard, graph, of, quantiles, stat, state, timeline

FOLDER = Path(__file__).parent / "dashboards"


def overview() -> Panel:
    """The wall: is everybody heard, does everything arrive."""
    heard = of("monitor_stream_state", state="~online|silent")
    return dashboard(
        "monitor-overview",
        "Monitor: overview",
        "For the wall: is every station heard, does every detection arrive.",
        [
            stat("Stations heard", f"sum({heard})", "Stations that send, silence included.", limits=[(None, "text")]),
            stat(
                "Not heard",
                f"count(sum by (instance, station) ({heard}) == 0) or vector(0)",
                "Stations that do not send.",
                limits=GOOD_BAD,
            ),
            stat("Silent", f"sum({of('monitor_stream_state', state='silent')})", "Stations that send silence.", limits=GOOD_BAD),
            stat(
                "Alerts",
                'count(ALERTS{alertname=~"Monitor.+", alertstate="firing"}) or vector(0)',
                "Alerts that fire.",
                limits=GOOD_BAD,
            ),
            stat(
                "Events waiting",
                f"sum({of('monitor_outbox_pending_messages')})",
                "Not yet with the broker.",
                limits=[(None, "green"), (100, "orange"), (10_000, "red")],
            ),
            stat(
                "Broker",
                f"min({of('monitor_broker_connected')})",
                "Of all monitors chosen.",
                limits=BAD_GOOD,
                words={0: "away", 1: "connected"},
            ),
            timeline("Stations", state(), "{{station}}", "What each station was doing."),
            bars(
                "Since the last sound",
                f"topk(20, max by (station) (time() - ({of('monitor_stream_last_sound_timestamp_seconds')} > 0)))",
                "{{station}}",
                "The twenty longest. Above 10 s it is opened again.",
                unit="s",
                limits=[(None, "green"), (5, "orange"), (15, "red")],
            ),
            bars(
                "Since the last detection",
                f"topk(20, max by (station) (time() - ({of('monitor_stream_last_detection_timestamp_seconds')} > 0)))",
                "{{station}}",
                "The twenty longest, of those that had one.",
                unit="s",
                limits=[(None, "green"), (3600, "orange"), (21_600, "red")],
            ),
            bars(
                "Lost and opened again, 24 h",
                f"topk(20, sum by (station) (increase({of('monitor_stream_restarts_total')}[24h])))",
                "{{station}}",
                "The twenty most restless.",
                unit="none",
                limits=[(None, "green"), (10, "orange"), (100, "red")],
            ),
            graph(
                "Plays found, per hour",
                {"{{station}}": f"sum by (station) (rate({of('monitor_detections_total', kind='started')}[{RATE}])) * 3600"},
                "First events of plays.",
                stacked=True,
            ),
            graph(
                "Behind",
                {
                    "95 %": quantiles("monitor_matcher_behind_seconds")["95 %"],
                    "dropped windows a second": f"sum(rate({of('monitor_windows_dropped_total')}[{RATE}]))",
                },
                "Age of a window when its result is there; windows that were never analysed.",
                unit="s",
            ),
        ],
    )


def station() -> Panel:
    """One station, everything."""
    only = {"station": "$station"}
    return dashboard(
        "monitor-station",
        "Monitor: one station",
        "Everything about one station.",
        [
            stat(
                "State",
                state(**only),
                "Now.",
                limits=[(None, "red"), (3, "yellow"), (4, "orange"), (5, "green")],
                words={number: word for number, (word, _) in STATES.items()},
            ),
            stat(
                "Since the last sound",
                f"time() - ({of('monitor_stream_last_sound_timestamp_seconds', **only)} > 0)",
                "Above its no_data_timeout_s it is opened again.",
                unit="s",
                limits=[(None, "green"), (5, "orange"), (15, "red")],
            ),
            stat(
                "Since the last detection",
                f"time() - ({of('monitor_stream_last_detection_timestamp_seconds', **only)} > 0)",
                "Of any play.",
                unit="s",
            ),
            stat(
                "Plays, 24 h",
                f"sum(increase({of('monitor_detections_total', kind='started', **only)}[24h]))",
                "First events.",
                unit="none",
            ),
            stat(
                "Of them doubtful, 24 h",
                f"sum(increase({of('monitor_detections_expected_false_total', **only)}[24h]))",
                "Sum of one minus the confidence: so many are wrong, if confidence is right.",
                limits=[(None, "green"), (1, "orange"), (5, "red")],
            ),
            stat(
                "Clock known to ±",
                of("monitor_stream_clock_uncertainty_seconds", **only),
                "Half width of the 95 % interval of UTC.",
                unit="s",
                limits=[(None, "green"), (1, "orange"), (2, "red")],
            ),
            timeline("States", state(**only), "{{station}}", "What it was doing.", height=5),
            graph(
                "Sound received per second",
                {"seconds of sound": f"sum(rate({of('monitor_stream_sound_seconds_total', **only)}[{RATE}]))"},
                "1 for a healthy station: below it sends too little, above it catches up.",
                unit="s",
            ),
            graph(
                "Events a minute",
                {"{{kind}}": f"sum by (kind) (rate({of('monitor_detections_total', **only)}[{RATE}])) * 60"},
                "By kind.",
                stacked=True,
            ),
            graph(
                "What it was",
                {"{{state}}": f"sum by (state) (rate({of('monitor_airtime_seconds_total', **only)}[{RATE}]))"},
                "Share of the airtime, as written to the ledger (`monitor airtime` has it to the second).",
                unit="percentunit",
                stacked=True,
            ),
            graph(
                "Sound missing within a connection",
                {
                    "missing, says the sender": f"sum(rate({of('monitor_stream_lost_seconds_total', **only)}[{RATE}])) * 60",
                    "damaged": f"sum(rate({of('monitor_stream_damaged_seconds_total', **only)}[{RATE}])) * 60",
                    "heard from address": of("monitor_stream_source", **only),
                },
                "Seconds a minute. Address 0 is its own, others are its spares.",
            ),
            graph(
                "Lost and opened again, an hour",
                {
                    "source lost": f"sum(rate({of('monitor_stream_restarts_total', **only)}[{RATE}])) * 3600",
                    "sound card ran over": f"sum(rate({of('monitor_stream_overflows_total', **only)}[{RATE}])) * 3600",
                },
                "Attempts while it is away are counted too.",
            ),
            graph(
                "Windows dropped a second",
                {"{{where}}": f"sum by (where) (rate({of('monitor_windows_dropped_total', **only)}[{RATE}]))"},
                "Not analysed, because the machine was too slow. A station brings two a second.",
                stacked=True,
            ),
            graph(
                "Clock uncertainty",
                {"half width": of("monitor_stream_clock_uncertainty_seconds", **only)},
                "Of the UTC of its newest sound, 95 %.",
                unit="s",
            ),
            graph(
                "Nothing detected for",
                {
                    "now": f"time() - ({of('monitor_stream_last_detection_timestamp_seconds', **only)} > 0)",
                    "expected within (0: not expected)": of("monitor_stream_expected_detection_seconds", **only),
                    "in service for": f"time() - {of('monitor_stream_in_service_timestamp_seconds', **only)}",
                },
                "Against expect_detection_s of its configuration.",
                unit="s",
            ),
        ],
        one_station=True,
    )


def pipeline() -> Panel:
    """Where the time goes."""
    share = {
        "encoder": f"sum(rate({of('monitor_encoder_batch_seconds_sum')}[{RATE}]))",
        "search": f"sum(rate({of('monitor_matcher_search_seconds_sum')}[{RATE}]))",
        "tracking": f"sum(rate({of('monitor_matcher_track_seconds_sum')}[{RATE}]))",
    }
    fill = "monitor_encoder_batch_fill_ratio"
    return dashboard(
        "monitor-pipeline",
        "Monitor: pipeline",
        "Where the time goes, what waits, what it costs.",
        [
            stat("Encoder", f"count by (name, device, recipe, air) ({of('monitor_encoder_info')})", "Which one runs, where."),
            stat("Version", f"count by (version) ({of('monitor_build_info')})", "Monitors by version."),
            stat("Catalogue generation", f"max({of('monitor_catalog_generation')})", "In service.", unit="none"),
            stat("Recordings", f"max({of('monitor_catalog_references')})", "In service.", unit="short"),
            stat(
                "Newer one refused",
                f"max({of('monitor_catalog_outdated')})",
                "Whether a newer catalogue could not be loaded.",
                limits=GOOD_BAD,
                words={0: "no", 1: "yes"},
            ),
            stat(
                "Windows dropped, 1 h",
                f"sum(increase({of('monitor_windows_dropped_total')}[1h]))",
                "Not analysed.",
                limits=GOOD_BAD,
            ),
            graph(
                "Windows a second",
                {
                    "encoded": f"sum(rate({of('monitor_encoder_windows_total')}[{RATE}]))",
                    "matched": f"sum(rate({of('monitor_matcher_windows_total')}[{RATE}]))",
                    "dropped": f"sum(rate({of('monitor_windows_dropped_total')}[{RATE}]))",
                },
                "A station brings two a second.",
            ),
            graph(
                "Behind",
                quantiles("monitor_matcher_behind_seconds"),
                "Age of a batch's oldest window when its result is there; 8 s is the most.",
                unit="s",
            ),
            graph(
                "What waits for the encoder",
                {
                    "windows": f"sum({of('monitor_encoder_queue_windows')})",
                    "beyond so many the oldest go": f"sum({of('monitor_encoder_queue_limit_windows')})",
                },
                "Windows of all stations.",
            ),
            graph(
                "What waits for the matcher",
                {"batches": f"sum({of('monitor_matcher_queue_batches')})"},
                "Encoded batches, two at most: then the encoder waits.",
            ),
            graph(
                "Share of the time at work",
                share,
                "Of one thread each; with a GPU, the encoder's share is the GPU's. At 1 there is no room left.",
                unit="percentunit",
            ),
            graph(
                "How full batches are",
                {"mean": f"sum(rate({of(f'{fill}_sum')}[{RATE}])) / sum(rate({of(f'{fill}_count')}[{RATE}]))"},
                "Of max_batch.",
                unit="percentunit",
            ),
            graph("Time to encode a batch", quantiles("monitor_encoder_batch_seconds"), "", unit="s", width=8),
            graph(
                "Wait for the encoder", quantiles("monitor_encoder_wait_seconds"), "Of a batch's oldest window.", unit="s", width=8
            ),
            graph("Time to search a batch", quantiles("monitor_matcher_search_seconds"), "In the index.", unit="s", width=8),
            graph("Time to track a batch", quantiles("monitor_matcher_track_seconds"), "", unit="s", width=8),
            graph(
                "From the first second on air to the first event",
                quantiles("monitor_detection_latency_seconds"),
                "What a subscriber waits.",
                unit="s",
                width=8,
            ),
            graph(
                "Time to load the catalogue",
                {
                    "{{instance}}": of("monitor_catalog_load_seconds"),
                    "refused, an hour": f"sum(rate({of('monitor_catalog_refused_total')}[{RATE}])) * 3600",
                },
                "Last time.",
                unit="s",
                width=8,
            ),
            graph(
                "Processor",
                {
                    "monitor": f"sum(rate({of('process_cpu_seconds_total', job='monitor')}[{RATE}]))",
                    "decoders": f"sum(rate({of('monitor_decoder_cpu_seconds_total')}[{RATE}]))",
                },
                "Cores.",
                stacked=True,
                width=8,
            ),
            graph(
                "Memory",
                {
                    "monitor": f"sum({of('process_resident_memory_bytes', job='monitor')})",
                    "decoders": f"sum({of('monitor_decoder_memory_bytes')})",
                    "on the GPU": f"sum({of('monitor_encoder_device_memory_bytes')})",
                },
                "",
                unit="bytes",
                width=8,
            ),
            graph(
                "Processes and files",
                {
                    "decoders": f"sum({of('monitor_decoder_processes')})",
                    "open files": f"sum({of('process_open_fds', job='monitor')})",
                },
                "One decoder a station.",
                width=8,
            ),
            graph(
                "Catalogue",
                {"fingerprints": f"max({of('monitor_catalog_fingerprints')})"},
                "In service; two a second of recording.",
                width=12,
            ),
            graph(
                "Refused over HTTP, a minute",
                {"{{code}}": f"sum by (code) (rate({of('monitor_http_refused_total')}[{RATE}])) * 60"},
                "Requests for what the pages do not offer.",
                width=12,
            ),
        ],
    )


def delivery() -> Panel:
    """Whether everything arrives."""
    oldest = of("monitor_outbox_oldest_timestamp_seconds")
    return dashboard(
        "monitor-delivery",
        "Monitor: delivery",
        "Whether every detection arrives, and how soon.",
        [
            stat("Broker", f"min({of('monitor_broker_connected')})", "", limits=BAD_GOOD, words={0: "away", 1: "connected"}),
            stat(
                "Events waiting",
                f"sum({of('monitor_outbox_pending_messages')})",
                "On disk, not yet with the broker.",
                limits=[(None, "green"), (100, "orange"), (10_000, "red")],
            ),
            stat(
                "The oldest waits for",
                f"max((time() - ({oldest} > 0)) or 0 * {oldest})",
                "0: none waits.",
                unit="s",
                limits=[(None, "green"), (60, "orange"), (300, "red")],
            ),
            stat(
                "Outbox filled",
                f"max({of('monitor_outbox_bytes')} / {of('monitor_outbox_budget_bytes')})",
                "Delivered events fill half of it at most.",
                unit="percentunit",
                limits=[(None, "green"), (0.55, "orange"), (0.7, "red")],
            ),
            stat(
                "In memory only",
                f"sum({of('monitor_outbox_unwritten_detections')} + {of('monitor_ledger_unwritten_intervals')})",
                "The disk does not take them.",
                limits=GOOD_BAD,
            ),
            stat(
                "Lost, 24 h",
                f"sum(increase({of('monitor_detections_lost_total')}[24h]))",
                "No room on the disk for too long.",
                limits=GOOD_BAD,
            ),
            graph(
                "Events a minute",
                {"{{kind}}": f"sum by (kind) (rate({of('monitor_detections_total')}[{RATE}])) * 60"},
                "Handed to the outbox.",
                stacked=True,
            ),
            graph(
                "Acknowledged a minute",
                {
                    "by the broker": f"sum(rate({of('monitor_broker_publish_seconds_count')}[{RATE}])) * 60",
                    "refused": f"sum(rate({of('monitor_broker_refused_messages_total')}[{RATE}])) * 60",
                },
                "After an outage faster than they are made.",
            ),
            graph(
                "Time to acknowledge",
                quantiles("monitor_broker_publish_seconds"),
                "From sending an event to the broker's answer.",
                unit="s",
            ),
            graph(
                "Waiting", {"{{instance}}": of("monitor_outbox_pending_messages")}, "Events on disk that the broker does not have."
            ),
            graph(
                "Broker lost, an hour",
                {
                    "{{instance}}": f"rate({of('monitor_broker_disconnects_total')}[{RATE}]) * 3600",
                    "connected: {{instance}}": of("monitor_broker_connected"),
                },
                "Connections lost or refused.",
            ),
            graph(
                "Outbox on disk",
                {"used": f"sum({of('monitor_outbox_bytes')})", "budget": f"sum({of('monitor_outbox_budget_bytes')})"},
                "Delivered events included.",
                unit="bytes",
            ),
            graph(
                "Disk refused, a minute",
                {"{{instance}}": f"rate({of('monitor_outbox_write_failures_total')}[{RATE}]) * 60"},
                "Tries that failed; the detections stay in memory.",
            ),
            graph(
                "Expected wrong among the plays told, a day",
                {"{{station}}": f"sum by (station) (rate({of('monitor_detections_expected_false_total')}[{RATE}])) * 86400"},
                "Sum of one minus their confidence.",
            ),
        ],
    )


def written() -> dict[str, str]:
    """Return each dashboard's file name and content."""
    made = {"overview": overview(), "station": station(), "pipeline": pipeline(), "delivery": delivery()}
    return {f"{name}.json": json.dumps(content, indent=1, ensure_ascii=False) + "\n" for name, content in made.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in written().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
