"""One line of output a check, and an exit code that tells whether all of them held."""

import asyncio
import contextlib
import inspect
import sys
import traceback

_checks = []


def check(name, *scenes):
    """Registers the function below as a check of these scenes."""

    def register(function):
        _checks.append((name, scenes, function))
        return function

    return register


@contextlib.contextmanager
def raises(kind):
    """The block ends in exactly this exception, which the returned list then holds."""
    caught = []
    try:
        yield caught
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} in place of {kind.__name__}: {error}"
        caught.append(error)
        return
    raise AssertionError(f"no {kind.__name__}")


def run(scene):
    """Runs the checks of a scene in their order and leaves with 0 if there were some and all of them held."""
    chosen = [(name, function) for name, scenes, function in _checks if scene in scenes]
    failed = 0
    for name, function in chosen:
        try:
            result = function()
            if inspect.iscoroutine(result):
                asyncio.run(result)
            print(f"ok      {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}", flush=True)
            print(traceback.format_exc(), flush=True)
    if not chosen:
        print(f"no checks for the scene `{scene}`")
    sys.exit(1 if failed or not chosen else 0)
