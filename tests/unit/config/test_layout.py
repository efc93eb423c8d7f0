# SPDX-License-Identifier: Apache-2.0
"""The one form of KDL, rule by rule; what comes out is also what goes in again."""

import pytest

from fleetflow_tasks.config.formatting import formatted
from fleetflow_tasks.config.locate import Text

LONG = "x" * 40


def laid_out(source: str) -> str:
    found = formatted(Text("f.kdl", source))
    assert found.warnings == ()
    assert formatted(Text("f.kdl", found.text)).text == found.text
    return found.text


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        # blanks
        ("", ""),
        ("\n\n  \n", ""),
        ("a", "a\n"),
        ("a\n\n\n\n\nb\n\n", "a\n\nb\n"),
        ("\ta   1\t 2  \n", "a 1 2\n"),
        ("a b = 1  c= 2", "a b=1 c=2\n"),
        ("( u8 )a (u8) 1 b=( u8 )2", "(u8)a (u8)1 b=(u8)2\n"),
        ("\ufeffa", "a\n"),
        ("a\u00a0b\u2028c", "a b\nc\n"),
        # one node a line
        ("a; b;;c", "a\nb\nc\n"),
        ("a { b\n c; d }", "a {\n    b\n    c\n    d\n}\n"),
        ("a {\n\n  b\n\n\n  c {\nd\n}\n\n}", "a {\n    b\n\n    c {\n        d\n    }\n}\n"),
        # blocks on one line
        ('a {b "1";c "2";}', 'a { b "1"; c "2" }\n'),
        ("a { b { c; d } }", "a { b { c; d } }\n"),
        ("a { b {\nc } }", "a {\n    b {\n        c\n    }\n}\n"),
        ("a {\n}", "a {}\n"),
        ("a { }", "a {}\n"),
        (f"a {{ b {LONG}; c {LONG}; d {LONG} }}", f"a {{\n    b {LONG}\n    c {LONG}\n    d {LONG}\n}}\n"),
        (f"a {{ b {{ c {LONG}; d {LONG} }}; e {LONG} }}", f"a {{\n    b {{ c {LONG}; d {LONG} }}\n    e {LONG}\n}}\n"),
        (f"a {LONG} {LONG} {LONG}", f"a {LONG} {LONG} {LONG}\n"),
        (f"a {LONG} {LONG} {LONG} {{ b }}", f"a {LONG} {LONG} {LONG} {{\n    b\n}}\n"),
        ("a /-{ b } { c }", "a /-{ b } { c }\n"),
        ("a /-{\nb } { c }", "a /-{\n    b\n} {\n    c\n}\n"),
        # comments
        ("a // c  \n//d\nb", "a  // c\n//d\nb\n"),
        ("a {// c\nb\n} // d", "a {  // c\n    b\n}  // d\n"),
        ("a {// c\n}", "a {  // c\n}\n"),
        ("a { /* c */ // d\nb }", "a {  /* c */ // d\n    b\n}\n"),
        ("a { /* c */\nb }", "a {  /* c */\n    b\n}\n"),
        ("a { /* c */ b }", "a { /* c */ b }\n"),
        ("a { b; /* c */ d }", "a { b; /* c */ d }\n"),
        ("a { b; /* c */; d }", "a { b; /* c */ d }\n"),
        ("a { /* c */ }", "a { /* c */ }\n"),
        ("a\n  // b\n\n\n  // c\n", "a\n// b\n\n// c\n"),
        ("a /*b*/ 1/*c*/", "a /*b*/ 1 /*c*/\n"),
        ("/* a\n   b */  c", "/* a\n   b */ c\n"),
        ("x {\n/* a\n   b */\nc }", "x {\n    /* a\n   b */\n    c\n}\n"),
        ("a; // b\nc", "a  // b\nc\n"),
        ("a; /* b */\nc", "a /* b */\nc\n"),
        ("a; /* b */ // c\nd", "a /* b */  // c\nd\n"),
        ("a; // b\n; /* c */\nd", "a  // b\n/* c */\nd\n"),
        ("/* a */ // b\nc", "/* a */  // b\nc\n"),
        # slashdash
        ("/-a\n/- b { c }", "/-a\n/- b { c }\n"),
        ("a /-1 /-b=2 3", "a /-1 /-b=2 3\n"),
        ("/-\n\na\nb", "/- a\nb\n"),
        ("/- // c\na", "/-  // c\na\n"),
        ("/- /* c */\na\nb", "/- /* c */ a\nb\n"),
        ("/- kdl-version 2\na", "/- kdl-version 2\na\n"),
        # joined lines
        ("a \\\n  1 \\\n  2", "a 1 2\n"),
        ("a \\ // c\n  1", "a \\  // c\n    1\n"),
        ("a \\ /* c */ // d\n  1", "a /* c */ \\  // d\n    1\n"),
        ("a \\ // b\n  // c\nd", "a \\  // b\n    // c\nd\n"),
        ("a \\\n\nb", "a\nb\n"),
        ("a \\ // c\n\nb", "a  // c\nb\n"),
        ("a \\", "a\n"),
        ("\\\na", "a\n"),
        ("\\ // c\na", "// c\na\n"),
        ("\\a", "a\n"),
        (f"a {LONG} \\\n{LONG} \\\n \\\n{LONG}", f"a {LONG} \\\n    {LONG} \\\n    {LONG}\n"),
        (f"a {LONG} {LONG} {LONG} b=\\\n1", f"a {LONG} {LONG} {LONG} b=1\n"),
        (f"a {LONG} \\\n{LONG} {{ b {LONG} }}", f"a {LONG} {LONG} {{\n    b {LONG}\n}}\n"),
        (f"a {LONG} \\ // c\n\\\n{LONG}", f"a {LONG} \\  // c\n    {LONG}\n"),
        # strings
        ('a """\n   b  \n\n\n   """  1', 'a """\n   b  \n\n\n   """ 1\n'),
        ('a { b """\n   c\n   """ }', 'a {\n    b """\n   c\n   """\n}\n'),
        ('a r#"b  "c"#  r"d"', 'a r#"b  "c"# r"d"\n'),
        ('a #"b  "c"#', 'a #"b  "c"#\n'),
        ('a "b\n  c" true', 'a "b\n  c" true\n'),
        ("a  #true", "a #true\n"),
    ],
)
def test_the_form(written: str, kept: str) -> None:
    assert laid_out(written) == kept


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a  {{ X }}   b={{ Y }}", "a {{ X }} b={{ Y }}\n"),
        ('a  "{{ X   }}"', 'a "{{ X   }}"\n'),
        ("a { b {{X}};c }", "a { b {{X}}; c }\n"),
        ("{% if X %}\na\n{% endif %}", "{% if X %}\na\n{% endif %}\n"),
        ("a {\n{% if X %}\n\n\n  b\n{%  else  %}\n c\n{% endif %} }",
         "a {\n    {% if X %}\n\n    b\n    {%  else  %}\n    c\n    {% endif %}\n}\n"),
        ('a "1"{% if X %}   "2"{% endif %}', 'a "1"{% if X %} "2"{% endif %}\n'),
        ("a x{% if X %}y{% endif %}  z", "a x{% if X %}y{% endif %} z\n"),
        ('a { {% if X %}b "1";{% endif %}c }', 'a { {% if X %}b "1"; {% endif %}c }\n'),
        ('a { {% if X %}b "1";{% endif %} }', 'a { {% if X %}b "1"; {% endif %} }\n'),
        ("{% if X %}a 1;{% endif %} b", "{% if X %}a 1\n{% endif %} b\n"),
        ("a; {%- if X %} b{% endif %}; c", "a;\n{%- if X %} b{% endif %};\nc\n"),
        ("a;{{ X -}}\nb", "a;\n{{ X -}}\nb\n"),
        ("a { b;{%- if X %} c; {% endif %} }", "a { b; {%- if X %} c; {% endif %} }\n"),
        ("// {{ X }}  {% if X %}\na", "// {{ X }}  {% if X %}\na\n"),
        ("a  {# b #}   {{ X }}", "a {# b #} {{ X }}\n"),
        ("{# a\n  b #}\nc {{ X }}", "{# a\n  b #}\nc {{ X }}\n"),
        ("a \\ {% if X %}\nb {% endif %}", "a {% if X %} b {% endif %}\n"),
        ("/-{% if X %}a{% endif %}", "/-{% if X %}a{% endif %}\n"),
        ("a b={% if X %}1{% else %}2{% endif %}", "a b={% if X %}1{% else %}2{% endif %}\n"),
        ('a "{% if X %}  1{% endif %}"', 'a "{% if X %}  1{% endif %}"\n'),
        ('{% raw %}\na  "{{ X }}"\n{% endraw %}', '{% raw %}\na "{{ X }}"\n{% endraw %}\n'),
    ],
)  # fmt: skip
def test_the_form_of_templates(written: str, kept: str) -> None:
    assert laid_out(written) == kept
