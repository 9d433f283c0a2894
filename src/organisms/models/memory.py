"""Going on in less memory: the one way in which sampling, scoring and judging meet a device that is full."""

from collections.abc import Callable, Iterable

import torch

from organisms.job.errors import UserError
from organisms.job.log import Report


def in_less_memory(
    n: int, at_once: int, run: Callable[[list[int], int], Iterable[list[int]]], report: Report, what: str, alone: str
) -> None:
    """Do `n` things, so many at once, and half as many whenever memory runs out; what was done is not done again.

    run: takes the places (from 0) of what is left, in the order in which it was asked for them, and how many at once;
    gives the places of what is done as it is done. what: the things' name for the line that says so. Raises UserError
    with `alone` if one thing is too much.
    """
    waiting = list(range(n))
    while waiting:
        done: set[int] = set()
        try:
            for places in run(waiting, at_once):
                done.update(places)
            out_of_memory = False
        except torch.OutOfMemoryError:
            out_of_memory = True
        waiting = [place for place in waiting if place not in done]
        if not out_of_memory:
            return
        # Not in the handler: until that ends, the error holds on to what filled the memory.
        at_once = min(at_once, len(waiting)) // 2
        if at_once == 0:
            raise UserError(alone)
        report(f"out of memory: going on with {at_once} {what} at once")
        torch.cuda.empty_cache()
