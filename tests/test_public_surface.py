"""What the packages promise to be there, and that asking for it costs nothing before."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import search_service
import trainables


@pytest.mark.parametrize("package", [search_service, trainables])
def test_every_public_name_is_there_and_says_what_it_is(package):
    assert dir(package) == sorted(package.__all__)
    for name in package.__all__:
        value = getattr(package, name)
        assert not (inspect.isclass(value) or inspect.isfunction(value)) or inspect.getdoc(value), name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_importing_the_packages_imports_nothing_heavy():
    heavy = ["torch", "ray", "mlflow", "optuna", "pandas", "pydantic"]
    code = f"import sys, search_service, trainables; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
