"""The gradient of an expensive function on a Dask cluster: here two processes of this
machine.

python examples/functions_on_dask.py
"""

import time

import numpy as np
from dask.distributed import Client, LocalCluster

import secant


def simulation(x):
    """Something that takes 20 ms."""
    time.sleep(0.02)
    return float(np.sum(np.cos(x) ** 2))


if __name__ == "__main__":  # the processes import this file
    x = np.linspace(0, 3, 60)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        start = time.perf_counter()
        gradient = secant.numerical_gradient(
            simulation, x, workers=client.get_executor().map
        )
        seconds = time.perf_counter() - start
    print(f"{seconds:.1f} s on two workers; alone it takes {2 * len(x) * 0.02:.1f} s")
    assert np.allclose(gradient, -np.sin(2 * x), atol=1e-7)
