"""A small convolutional network for 8 x 8 grey images.

Legend: B rows, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

GREATEST_PIXEL = 16


class DigitsCNN(nn.Module):
    """Maps uint8 images to class scores with 101,626 parameters.

    conv 32 (3 x 3), conv 64 (3 x 3), max-pool 2, dense 80, dense 10. Both convolutions pad by one,
    so the images stay 8 x 8 until the pooling and 64 x 4 x 4 features reach the dense layers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(64 * 4 * 4, 80)
        self.fc2 = nn.Linear(80, 10)

    def forward(self, x_BHW: torch.Tensor) -> torch.Tensor:
        """Return the scores [B, K] of images [B, 8, 8] whose pixels are 0..16."""
        h_BCHW = x_BHW.unsqueeze(1).float() / GREATEST_PIXEL
        h_BCHW = F.relu(self.conv1(h_BCHW))
        h_BCHW = F.max_pool2d(F.relu(self.conv2(h_BCHW)), 2)
        h_BF = F.relu(self.fc1(h_BCHW.flatten(1)))
        scores_BK: torch.Tensor = self.fc2(h_BF)
        return scores_BK
