"""LAMB is what is published, written out number by number."""

from __future__ import annotations

import numpy as np
import torch

from monitor.train.lamb import Lamb


def test_two_steps_are_the_published_ones() -> None:
    start, gradients, rate, decay = np.array([3.0, -4.0]), [np.array([0.5, 0.1]), np.array([-0.2, 0.3])], 0.1, 0.01
    weights = torch.nn.Parameter(torch.tensor(start))
    optimizer = Lamb([weights], lr=rate, weight_decay=decay)
    mean, square, expected = np.zeros(2), np.zeros(2), start.copy()
    for step, gradient in enumerate(gradients, start=1):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        update = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-6) + decay * expected
        expected = expected - rate * np.linalg.norm(expected) / np.linalg.norm(update) * update
        weights.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(weights.detach().numpy(), expected, rtol=1e-9)


def test_weights_that_are_zero_move_all_the_same() -> None:
    weights = torch.nn.Parameter(torch.zeros(3))
    weights.grad = torch.ones(3)
    Lamb([weights], lr=0.1).step()
    np.testing.assert_allclose(weights.detach().numpy(), -0.1, rtol=1e-4)
