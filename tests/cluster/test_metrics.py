from __future__ import annotations

import httpx

from services.cluster.metrics import serve_metrics


def test_prometheus_learns_what_else_there_is_to_read() -> None:
    targets = [{"targets": ["host:1"], "labels": {"replica": "a"}}]
    address = serve_metrics("127.0.0.1", "127.0.0.1", targets=lambda: targets)
    assert httpx.get(f"http://{address}/targets").json() == targets
    assert "hearth_fenced_writes" in httpx.get(f"http://{address}/metrics").text


def test_a_process_that_knows_nothing_more_has_its_figures_only() -> None:
    address = serve_metrics("127.0.0.1", "127.0.0.1")
    assert "hearth_fenced_writes" in httpx.get(f"http://{address}/targets").text
