"""A network in a file: an .npz of plain arrays, never a pickle."""

import io
from typing import cast

import numpy as np

from secant._common.files import AnyPath, write_file
from secant._common.npz import npz_arrays
from secant.backends import faults
from secant.backends.base import (
    LOG_OFFSET,
    PARAM_NAMES,
    HiddenActivation,
    OutputActivation,
    Parameters,
)
from secant.networks import batch
from secant.networks.batch import SoftTargets


def save(path: AnyPath, net: Parameters, soft_targets: SoftTargets) -> None:
    """Write a network, all of it or nothing."""
    buffer = io.BytesIO()
    np.savez(buffer, **net._asdict(), soft_targets=soft_targets)
    write_file(path, buffer.getvalue())


def load(path: AnyPath) -> tuple[Parameters, SoftTargets]:
    """Read what `save` wrote, now or in an older version. The file is untrusted."""
    with npz_arrays(
        path, "does not hold a network that TwoLayerNet.save wrote"
    ) as arrays:
        output = cast(OutputActivation, str(arrays["output_activation"]))
        hidden = cast(HiddenActivation, str(arrays.get("hidden_activation", "sigmoid")))
        soft_targets = cast(SoftTargets, str(arrays.get("soft_targets", "weights")))
        log_offset = float(arrays.get("log_offset", LOG_OFFSET))
        batch.settings(hidden, output, log_offset, soft_targets)
        net = Parameters(
            *batch.params({name: arrays[name] for name in PARAM_NAMES}),
            hidden,
            output,
            log_offset,
        )
        if fault := faults.first(net):
            raise faults.error(fault, net._asdict())
    return net, soft_targets
