"""Names that people choose and that become part of a path, a URL or a record: which texts may be one.

A name is one line of visible text that no file system, browser or database reads as anything but a name. What is
narrower still (a study's name, a token's) has a pattern of its own where it is declared. And names that people may only
choose from: those of a registry (``OneOf``).

>>> flaw_of("churn, run 2"), flaw_of("../elsewhere")
(None, 'it holds /')
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, PydanticKnownError, core_schema

# Bytes in UTF-8. File systems take 255 for one folder or file, MLflow 500 letters for an experiment; what is made of a
# name (an ending, a number) needs a little of it.
MOST_BYTES = 200
# What separates the parts of a path, here or on another system, or ends the path of a URL.
SEPARATORS = "/\\?#%:"
# Unicode's categories of what nobody sees, or what changes how the rest is shown: control and format characters,
# halves of a character, characters that are not assigned, and the separators of lines and paragraphs.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


def flaw_of(text: str, barred: str = SEPARATORS) -> str | None:
    """Why a text cannot be a name, in words; None if it can.

    Args:
        text: What somebody chose.
        barred: Visible characters that it must not hold.
    """
    if not text.strip():
        return "it is empty"
    if text != text.strip():
        return "it begins or ends with a blank"
    if set(text) == {"."}:
        return "it means a folder"
    if (seen := next((character for character in text if character in barred), None)) is not None:
        return f"it holds {seen}"
    if (unseen := next((one for one in text if unicodedata.category(one) in _UNSEEN), None)) is not None:
        return f"it holds the character U+{ord(unseen):04X}, which nobody sees"
    size = len(text.encode())
    return f"it has {size} bytes" if size > MOST_BYTES else None


RULE = f"a name: visible characters, none of {' '.join(SEPARATORS)}, no blank at its ends, at most {MOST_BYTES} bytes"


def _require_name(text: str) -> str:
    if (flaw := flaw_of(text)) is not None:
        raise PydanticCustomError("no_name", "{rule}; {flaw}", {"rule": RULE, "flaw": flaw})
    return text


Name = Annotated[str, Field(min_length=1), AfterValidator(_require_name)]


@dataclass(frozen=True)
class OneOf:
    """Requires a text to be a name of a registry, at the time when it is read: one may have been added.

    Attributes:
        registry: What there is, by name.
    """

    registry: Mapping[str, object]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """See pydantic."""
        return core_schema.no_info_after_validator_function(self._require, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """See pydantic."""
        return {"type": "string", "enum": list(self.registry)}

    def _require(self, name: str) -> str:
        if name not in self.registry:
            *others, last = map(repr, self.registry)
            raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
        return name
