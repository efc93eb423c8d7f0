# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a request: gathered field by field, refused all at once.

The form is the real one's: INVALID_ARGUMENT with the first one in the message and all in google.rpc.BadRequest, as users
quote it (terraform-provider-google #10173 "ports should contain 0 or 1 port", #26877 "reserved env names").
"""

from .refused import TYPE, Refused


class Violations:
    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def say(self, field: str, description: str) -> None:
        self.found.append((field, description))

    def say_if(self, wrong: bool, field: str, description: str) -> None:
        if wrong:
            self.say(field, description)

    def refuse(self) -> None:
        """Raises Refused where anything was said."""
        if not self.found:
            return
        field, description = self.found[0]
        listed = [{"field": field, "description": description} for field, description in self.found]
        raise Refused(
            "INVALID_ARGUMENT", f"{field}: {description}", {"@type": f"{TYPE}BadRequest", "fieldViolations": listed}
        )
