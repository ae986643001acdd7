"""E1: the addresses with secrets that a study keeps to itself are this user's, or the study says so."""

from __future__ import annotations

import pytest

from search_service.folder import layout, private_addresses
from trainables.errors import DataError


def test_e1_addresses_that_cannot_be_read_are_one_error_with_what_to_do(tmp_path):
    # Nobody can read a folder as a file; root could read whatever is forbidden to others.
    (tmp_path / layout.PRIVATE_ADDRESSES).mkdir()
    with pytest.raises(DataError, match="(?s)Is a directory.*as the user who has begun the study"):
        private_addresses.put_back({"data": {"source": "https://a.org/t.csv"}}, tmp_path, ())
