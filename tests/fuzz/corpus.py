# SPDX-License-Identifier: Apache-2.0
"""Texts that people write: every example, every fenced KDL of the documentation, and one that uses all there is."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Every kind of node, every way of templates and references; what a mutation touches should mean something.
SEED = """
project "shop"
variables { A "1"; B "{{ A }}${A}"; C "${B:-x}$$" }
include "*.kdl"
service "db" { image "pg"; version 16; port 5432; volume "d" "/d" size="1Gi"; healthcheck { test "x"; interval 2 } }
service "api" { image "a"; port 80 container=8; env X="${A:-b}" { Y "{{ B | upper }}" }; secrets { S; T file=".env" }
  depends_on "db" { service "db" condition="healthy" required=false }; resources { cpu "500m"; memory "1g" }
  {% if A == "1" %}replicas 2{% endif %}; ingress host="h"; scaling min=1 max=2; command "a 'b'"; restart "no"; job #true
}
{% for name in ["x", "y"] %}
service "{{ name }}{{ loop.index }}" { image "{{ name ~ '-' ~ A }}"; labels { team {{ NONE | default("core") }} } }
{% endfor %}
stage "local" { runtime "docker"; variables { C "x" }; service "db"; service "api" runtime="k8s" { env_file ".env" } }
stage "prd" { runtime "kubernetes" { namespace "p" }; service "db" { replicas 2; environment { L "info" } } }
"""

DOTENV = """A=1
export B = two # comment
C="a\\n${A}" # more
D='$A'
E

"""


def texts() -> tuple[str, ...]:
    """The same in the same order on every machine."""
    examples = sorted((ROOT / "examples").rglob("*.kdl"))
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    fenced = [text for page in pages for text in re.findall(r"```kdl\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]
    return (SEED, *(path.read_text(encoding="utf-8") for path in examples), *fenced)
