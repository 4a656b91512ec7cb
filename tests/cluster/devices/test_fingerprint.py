from __future__ import annotations

import pytest

from services.cluster.devices.fingerprint import Fingerprints, fingerprints
from services.cluster.devices.labels import label
from services.cluster.devices.nvml_double import SICK_FILE, NvmlDouble
from services.cluster.devices.records import GIB
from services.cluster.errors import BadRequest
from services.cluster.settings import ClusterSettings
from tests.cluster.devices.specs import an_assignment
from tests.cluster.devices.test_labels import SLEEP, running


def doubled(settings: ClusterSettings, gpus: str) -> ClusterSettings:
    return settings.model_copy(update={"nvml_double": True, "nvml_double_gpus": gpus})


def seen_of(settings: ClusterSettings, gpus: str) -> Fingerprints:
    return fingerprints(doubled(settings, gpus))


def make_sick(settings: ClusterSettings, line: str) -> None:
    (settings.data_dir / "tmp").mkdir(exist_ok=True)
    (settings.data_dir / SICK_FILE).write_text(line)


def test_the_double_needs_its_switch(settings: ClusterSettings) -> None:
    with pytest.raises(BadRequest, match="HEARTH_NVML_DOUBLE=1"):
        NvmlDouble(settings)


@pytest.mark.parametrize("sizes", ["24", "24,24", "8,24,48,80", ",".join(["80"] * 8)])
def test_the_double_has_the_gpus_that_it_is_told(settings: ClusterSettings, sizes: str) -> None:
    devices = seen_of(settings, sizes).take().devices
    assert [d.total_bytes for d in devices] == [int(size) * GIB for size in sizes.split(",")]
    assert {(d.kind, d.host_id, d.healthy) for d in devices} == {("cuda", "here", True)}
    assert len({d.device_id for d in devices}) == len(devices)
    assert seen_of(settings, sizes).take().devices[0].device_id == devices[0].device_id


def test_a_host_without_gpu_offers_its_processors(settings: ClusterSettings) -> None:
    (device,) = seen_of(settings, "").take().devices
    assert (device.device_id, device.kind) == ("cpu-here", "cpu")
    half = seen_of(settings.model_copy(update={"cpu_memory_share": 0.25}), "").take().devices[0]
    assert half.total_bytes == pytest.approx(device.total_bytes / 2, abs=1)


def test_real_processes_are_seen_on_the_double(settings: ClusterSettings) -> None:
    gpu_id = NvmlDouble(doubled(settings, "24,24")).gpu_id(1)
    seen = seen_of(settings, "24,24")
    assignment = an_assignment("replica/fingerprint", (gpu_id,))
    with (
        running(SLEEP, {"CUDA_VISIBLE_DEVICES": gpu_id}) as stranger,
        running(SLEEP, label(assignment)) as known,  # labelled, but with no memory on it yet
    ):
        found = seen.take()
        assert found.devices[0].processes == ()
        on = {p.pid: p for p in found.devices[1].processes or ()}
        assert on.keys() == {stranger.pid, known.pid}
        assert (on[stranger.pid].holder, on[known.pid].holder) == ("", "replica/fingerprint")
        assert 0 < on[stranger.pid].used_bytes == found.devices[1].used_bytes
        assert on[known.pid].used_bytes == 0
        assert found.processes[known.pid].assignment_id == assignment.assignment_id
    assert seen.take().devices[1].processes == ()


def test_processors_have_those_who_say_so(settings: ClusterSettings) -> None:
    host = settings.model_copy(update={"host_id": f"h-{settings.data_dir.name}"})
    assignment = an_assignment("replica/c", (f"cpu-{host.host_id}",))
    with running(SLEEP, label(assignment)) as process:
        (device,) = seen_of(host, "").take().devices
        assert [p.pid for p in device.processes or ()] == [process.pid]


def test_a_sick_gpu_says_why(settings: ClusterSettings) -> None:
    seen = seen_of(settings, "24,24")
    make_sick(settings, "1 Xid 48\n")
    assert [(d.healthy, d.detail) for d in seen.take().devices] == [(True, ""), (False, "Xid 48")]
    make_sick(settings, "1 mute\n")
    assert seen.take().devices[1].processes is None


def test_a_gpu_that_was_there_is_missed(settings: ClusterSettings) -> None:
    seen = seen_of(settings, "24,24")
    make_sick(settings, "0 lost\n")
    assert len(seen.take().devices) == 1  # nobody can know of it
    make_sick(settings, "")
    assert all(d.healthy for d in seen.take().devices)
    make_sick(settings, "0 lost\n")
    lost = next(d for d in seen.take().devices if not d.healthy)
    assert "does not list it any more" in lost.detail
    assert lost.processes is None


def test_a_driver_that_fails_makes_all_of_its_gpus_sick(settings: ClusterSettings) -> None:
    seen = seen_of(settings, "24,24")
    seen.take()
    make_sick(settings, "driver version mismatch\n")
    devices = seen.take().devices
    assert {(d.kind, d.healthy) for d in devices} == {("cuda", False)}
    assert "version mismatch" in devices[0].detail
    make_sick(settings, "")
    assert all(d.healthy for d in seen.take().devices)
