"""Within a determinism class the same work gives the same bits, wherever it is done."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from learning import determinism
from learning.errors import DeviceUnavailable, InvalidShard, InvalidTask
from learning.genesis import genesis
from learning.local_update import local_update
from learning.replay import first_difference, replay
from learning.tasks.digits import DigitsTask
from protocol.codec import encode_update
from protocol.errors import NonFiniteUpdate, OutOfMemory
from protocol.spec import Training

HYPER = Training(epochs=2, batch_size=32, lr=0.05, momentum=0.9)


def _inputs(**changes):
    task = DigitsTask()
    layout, theta = genesis(task, seed=1)
    shards = [shard.data for shard in task.make_shards(4, split="iid", seed=1)[:1]]
    return {
        "task": task,
        "theta": theta,
        "layout": layout,
        "shards": shards,
        "hyper": HYPER,
        "seed": bytes(range(32)),
        "round_no": 3,
        "seat": 2,
        "device": "cpu",
    } | changes


@pytest.fixture(scope="module")
def update():
    return local_update(**_inputs())


def fingerprint(update):
    """SHA-256 over all that must be equal."""
    return hashlib.sha256(update.delta.tobytes() + b"".join(update.trace_digests)).hexdigest()


def test_two_identical_runs_give_identical_bits(update):
    """Global generators, threads and flags of the process do not reach the update."""
    torch.manual_seed(987)
    np.random.seed(987)  # noqa: NPY002 - the global state is what must not matter
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(mode=False)
    torch.set_default_dtype(torch.float64)

    again = local_update(**_inputs())

    assert fingerprint(again) == fingerprint(update)
    assert again.update_bytes == update.update_bytes


@pytest.mark.timeout(180)
def test_two_processes_give_identical_bits(update):
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_local_update as t\n"
        "print(t.fingerprint(t.local_update(**t._inputs())))"
    )

    runs = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    assert [run.communicate()[0].strip() for run in runs] == [fingerprint(update)] * 2


def test_training_leaves_torchs_generator_alone():
    before = torch.random.get_rng_state()

    local_update(**_inputs(hyper=Training(epochs=1, batch_size=360, lr=0.05)))

    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("change", [{"seat": 1}, {"round_no": 4}, {"seed": bytes(32)}])
def test_seat_round_and_seed_each_choose_another_order(update, change):
    other = local_update(**_inputs(**change))

    assert other.trace_digests[0] == update.trace_digests[0]
    assert other.trace_digests[1] != update.trace_digests[1]


def test_the_update_is_what_the_protocol_encodes(update):
    layout, theta = genesis(DigitsTask(), seed=1)

    assert update.delta.dtype == np.int64
    assert update.delta.shape == theta.shape == (layout.chunk_count * 256,)
    assert update.update_bytes == encode_update(update.delta)
    assert update.steps == 24
    assert len(update.trace_digests) == 25
    assert all(len(digest) == 32 for digest in update.trace_digests)
    assert update.loss_last < update.loss_first


def test_padding_is_never_trained(update):
    layout, _ = genesis(DigitsTask(), seed=1)
    ones = {tensor.name: np.ones(tensor.shape) for tensor in layout.tensors}

    padding = layout.flatten(ones, np.int8) == 0

    assert padding.any()
    assert not update.delta[padding].any()


def test_a_long_training_has_65_digests():
    hyper = Training(epochs=8, batch_size=32, lr=0.05)

    update = local_update(**_inputs(hyper=hyper))

    assert update.steps == 96
    assert len(update.trace_digests) == len(set(update.trace_digests)) == 65


def test_progress_is_told_after_every_step(update):
    heard = []

    local_update(**_inputs(progress=lambda *step: heard.append(step)))

    assert [step for step, _, _ in heard] == list(range(1, 25))
    assert {steps for _, steps, _ in heard} == {24}
    assert heard[-1][2] == update.loss_last


def test_a_replay_of_honest_work_agrees(update):
    report = replay(
        update_bytes=update.update_bytes, trace_digests=update.trace_digests, **_inputs()
    )

    assert report.same


def test_a_replay_finds_the_first_step_that_was_not_done(update):
    """A trainer who poisons from step 5 on is caught at digest 5."""
    forged = [*update.trace_digests[:5], *(bytes([i]) * 32 for i in range(20))]

    report = replay(update_bytes=bytes(257), trace_digests=forged, **_inputs())

    assert not report.same
    assert report.first_difference == 5


def test_a_trace_that_is_cut_short_differs_where_it_ends():
    assert first_difference([b"a", b"b"], [b"a"]) == 1
    assert first_difference([b"a"], [b"a"]) is None


def test_diverged_training_is_refused():
    with pytest.raises(NonFiniteUpdate):
        local_update(**_inputs(hyper=Training(epochs=1, batch_size=32, lr=1e30)))


def test_a_full_device_is_told_with_advice():
    class Greedy(DigitsTask):
        def loss(self, model, batch):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    with pytest.raises(OutOfMemory, match=r"batches of 32.*another device"):
        local_update(**_inputs(task=Greedy()))


def test_a_hostile_shard_is_refused_before_training():
    with pytest.raises(InvalidShard):
        local_update(**_inputs(shards=[b"\x80\x04pickle"]))


def test_a_layout_of_another_model_is_refused():
    class Narrow(DigitsTask):
        def model(self, params):
            return torch.nn.Linear(64, 10)

    with pytest.raises(InvalidTask):
        local_update(**_inputs(task=Narrow()))


def test_the_class_is_stable_and_described():
    cpu = torch.device("cpu")

    assert determinism.class_id(cpu) == determinism.class_id(cpu)
    assert len(determinism.class_id(cpu)) == 32
    assert determinism.describe(cpu)["torch"] == torch.__version__


def test_capping_the_instruction_set_changes_the_class(monkeypatch):
    before = determinism.class_id(torch.device("cpu"))
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")

    assert determinism.class_id(torch.device("cpu")) != before


def test_devices_are_picked_or_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert determinism.pick_device("auto").type == "cpu"
    with pytest.raises(DeviceUnavailable):
        determinism.pick_device("cuda")
    with pytest.raises(DeviceUnavailable):
        determinism.pick_device("tpu")


@pytest.mark.gpu
def test_two_runs_on_a_gpu_give_identical_bits():
    first, again = (local_update(**_inputs(device="cuda")) for _ in range(2))

    assert fingerprint(first) == fingerprint(again)
