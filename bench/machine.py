"""Reports when the machine itself was slow: the cores of a virtual machine can be preempted or throttled for
tens of milliseconds, which looks like a slow program.

On each core, a process of the highest priority runs a fixed task every 2 ms. When it takes five times its usual
time, or is 10 ms late, everything else was slow too. Prints a line `BEGIN END` (Unix time, ms) for each such
interval until it is killed; intervals 10 ms apart or less are merged. Linux, root."""
import os
import time

USUAL_OF = 500
TIMES = 5
APART = 0.010


def work() -> float:
    begun = time.perf_counter()
    for _ in range(1000):
        pass
    return time.perf_counter() - begun


def watch(core: int) -> None:
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    usual = sorted(work() for _ in range(USUAL_OF))[USUAL_OF // 2]
    slow = None
    while True:
        before = time.time()
        time.sleep(0.002)
        took = work()
        now = time.time()
        if took > TIMES * usual or now - before > APART:
            slow = (slow[0] if slow else before, now)
        elif slow and now - slow[1] > APART:
            os.write(1, f"{slow[0] * 1000:.1f} {slow[1] * 1000:.1f}\n".encode())
            slow = None


for core in sorted(os.sched_getaffinity(0))[1:]:
    if os.fork() == 0:
        watch(core)
watch(min(os.sched_getaffinity(0)))
