"""Our descent and torch's are the same arithmetic."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from learning.sgd import SGD
from protocol.spec import Training


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.0, 0.0), (0.9, 0.0), (0.9, 0.01)])
def test_ten_steps_equal_torchs_bit_for_bit(momentum, weight_decay):
    hyper = Training(epochs=1, batch_size=4, lr=0.05, momentum=momentum, weight_decay=weight_decay)
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    models = []
    for ours in (True, False):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
        optimizer = (
            SGD(model.parameters(), hyper)
            if ours
            else torch.optim.SGD(
                model.parameters(), lr=0.05, momentum=momentum, weight_decay=weight_decay
            )
        )
        for _ in range(10):
            model.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
        models.append(model)

    pairs = zip(*(model.parameters() for model in models), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.timeout(120)
def test_a_local_update_starts_without_torchs_compiler():
    """Importing torch._dynamo costs a trainer seconds and buys nothing."""
    program = (
        "import sys\n"
        "from learning.genesis import genesis\n"
        "from learning.local_update import local_update\n"
        "from learning.tasks.digits import DigitsTask\n"
        "task = DigitsTask()\n"
        "layout, theta = genesis(task, seed=1)\n"
        "shards = [task.make_shards(20)[0].data]\n"
        "local_update(task=task, theta=theta, layout=layout, shards=shards, round_no=1, seat=0,\n"
        "    hyper=task.default_hyperparameters, seed=bytes(32), device='cpu')\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
