# SPDX-License-Identifier: Apache-2.0
# What the tests use of jsonschema, which ships no types.
from collections.abc import Iterator, Mapping
from typing import Any

class ValidationError(Exception):
    json_path: str
    message: str

class Draft202012Validator:
    def __init__(self, schema: Mapping[str, Any]) -> None: ...
    @staticmethod
    def check_schema(schema: Mapping[str, Any]) -> None: ...
    def iter_errors(self, instance: object) -> Iterator[ValidationError]: ...
    def validate(self, instance: object) -> None: ...
