"""What happens to a process that trains in the core: Ctrl-C from outside, training
again, and a fork.
"""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import secant

pytestmark = pytest.mark.usefixtures("compiled")

INTERRUPTED = """
import signal, sys, threading, time
import numpy as np
import secant

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the shell has set
signal.alarm(60)
ITERATIONS = 100_000_000  # days of them
x = np.random.RandomState(1).randint(256, size=(1000, 784)) * (np.random.RandomState(2).uniform(size=(1000, 784)) > 0.8)
t = np.arange(1000) % 10


def train(n_iterations, history):
    net = secant.TwoLayerNet(784, 50, 10, rng=0, backend="cpp")
    data = x.astype(np.uint8), t, x[:50].astype(np.uint8), t[:50]
    try:
        secant.train(net, *data, n_iterations=n_iterations, rng=3, progress=False, history=history, normalize=True,
                     n_threads=int(sys.argv[1]))
    except KeyboardInterrupt:
        pass
    return net


def say_when_begun(history):
    while len(history.train_loss_list) < 100:
        time.sleep(0.001)
    print("begun", flush=True)


history, again = secant.History(), secant.History()
threading.Thread(target=say_when_begun, args=(history,), daemon=True).start()
net = train(ITERATIONS, history)
done = len(history.train_loss_list)
assert 100 <= done < ITERATIONS, done
other = train(done, again)
assert again.train_loss_list == history.train_loss_list
due = [i for i in range(done) if i % 10 == 0]
assert history.epoch_iterations in (due, due[:-1])  # accuracies that were being taken are left out
assert again.train_acc_list[:len(history.train_acc_list)] == history.train_acc_list
assert all(net.params[key].tobytes() == other.params[key].tobytes() for key in net.params)
print("the same")
"""


@pytest.mark.skipif(
    sys.platform == "win32", reason="Ctrl-C cannot be sent to another process"
)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_a_run_at_a_whole_iteration_and_training_can_go_on(n_threads):
    command = [sys.executable, "-W", "error", "-c", INTERRUPTED, str(n_threads)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (out, errors, process.returncode) == ("the same\n", "", 0)


def trained(n_threads):
    net = secant.TwoLayerNet(100, 70, 10, rng=0, backend="cpp")
    rng = np.random.RandomState(1)
    x, t = rng.uniform(size=(300, 100)), rng.randint(10, size=300)
    secant.train(
        net,
        x,
        t,
        x[:9],
        t[:9],
        n_iterations=15,
        rng=2,
        progress=False,
        n_threads=n_threads,
    )
    return {key: param.tobytes() for key, param in net.params.items()}


@pytest.mark.unsanitized
def test_a_child_forked_after_training_trains_too(forked):
    """OpenMP's threads do not survive a fork: a child that waits for them hangs."""
    expected = trained(n_threads=2)
    for _ in range(2):
        assert forked(lambda: trained(n_threads=2) == expected)
        assert trained(n_threads=2) == expected


BESIDE_A_THREAD = """
import os, signal, sys, threading, warnings
import numpy as np
import secant

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: forking with threads may deadlock
net = secant.TwoLayerNet(20, 16, 10, rng=0, backend="cpp")
x, t = np.random.RandomState(0).uniform(size=(50, 20)), np.arange(50) % 10


def bits():
    return [grad.tobytes() for grad in net.numerical_gradient(x, t, n_threads=3).values()]


def child_is_right():
    child = os.fork()
    if child == 0:
        right = False
        try:
            signal.alarm(30)
            right = bits() == expected
        finally:
            os._exit(0 if right else 1)
    return os.waitpid(child, 0)[1] == 0


def compute_and_live():
    computed.append(bits())
    ready.wait()
    end.wait()
    computed.append(bits())


expected, computed, ready, end = bits(), [], threading.Barrier(3), threading.Event()
threads = [threading.Thread(target=compute_and_live) for _ in range(2)]
for thread in threads:
    thread.start()
ready.wait()
for _ in range(int(sys.argv[1])):
    assert child_is_right()
    assert bits() == expected
end.set()
for thread in threads:
    thread.join()
assert computed == [expected] * 4
print("the same")
"""


@pytest.mark.unsanitized
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.parametrize("forks", [20, pytest.param(1000, marks=pytest.mark.nightly)])
def test_a_fork_beside_live_threads_that_have_used_the_core(run_python, forks):
    """Each thread has OpenMP threads of its own, which a fork must not take from it."""
    done = run_python(BESIDE_A_THREAD, arguments=[str(forks)])
    assert (done.returncode, done.stdout, done.stderr) == (0, "the same\n", "")


@pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this platform has no timer signals"
)
def test_the_handler_of_a_signal_computes_too():
    """Scratch memory is kept for a thread's next call: a call within a call must have
    its own.
    """
    rng = np.random.RandomState(1)
    net, x, t = (
        secant.TwoLayerNet(64, 64, 10, rng=0, backend="cpp"),
        rng.uniform(size=(5000, 64)),
        np.arange(5000) % 10,
    )

    # so that a timer goes off meanwhile on any machine
    options = {"method": "direct", "n_threads": 1}

    def gradient(rows):
        return [
            grad.tobytes()
            for grad in net.numerical_gradient(x[:rows], t[:rows], **options).values()
        ]

    long, short, within, ended = gradient(5000), gradient(50), [], threading.Event()

    def handle(*_):
        within.append(gradient(50))
        # else a timer that is stopped would go off later, and end the process
        if not ended.is_set():
            # only now: in a sanitizer one handler would be within the other
            signal.setitimer(signal.ITIMER_REAL, 0.01)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert gradient(5000) == long
    finally:
        ended.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert within
    assert all(one == short for one in within)


AT_EXIT = """
import sys, threading, time
import numpy as np, secant

backend, call, n_threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
net = secant.TwoLayerNet(100, 64, 10, rng=0, backend=backend)
x, t = np.random.RandomState(1).uniform(0.01, 1, (3000, 100)), np.arange(3000) % 10
calls = {
    "predict": lambda: net.predict(x),
    "gradient": lambda: net.numerical_gradient(x, t, n_threads=n_threads),
    "train": lambda: secant.train(net, x, t, n_iterations=20, batch_size=1000, progress=False, n_threads=n_threads),
}


def forever():
    while True:
        calls[call]()


calls[call]()
threading.Thread(target=forever, daemon=True).start()
time.sleep(0.02)
"""


@pytest.mark.slow
@pytest.mark.parametrize("call", ["predict", "gradient", "train"])
@pytest.mark.parametrize("name", ["cpp", "numba"])
def test_an_interpreter_may_end_while_a_thread_computes(name, call, run_python):
    if name == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
    for n_threads in ("1", "2"):
        done = run_python(AT_EXIT, arguments=[name, call, n_threads])
        assert (done.stderr, done.returncode) == ("", 0)


def test_ctrl_c_ends_a_gradient_by_the_full_functions(default_handler):
    """A block of samples takes seconds there."""
    net = secant.TwoLayerNet(784, 300, 10, rng=0, backend="cpp")
    x, t = np.random.RandomState(0).uniform(size=(2000, 784)), np.arange(2000) % 10
    for n_threads in (1, 2):
        timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            net.numerical_gradient(x, t, h=0.1, method="direct", n_threads=n_threads)
        timer.join()


def test_100_000_threads_asked_for_are_limited(run_python):
    program = """
import numpy as np, secant

net, x, t = secant.TwoLayerNet(784, 200, 10, rng=0, backend="cpp"), np.ones((500, 784)), np.arange(500) % 10
expected, got = (net.numerical_gradient(x, t, n_threads=n_threads) for n_threads in (1, None))
assert all(np.array_equal(got[key], grad) for key, grad in expected.items())
"""
    done = run_python(program, OMP_NUM_THREADS="100000")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
