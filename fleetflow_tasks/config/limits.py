# SPDX-License-Identifier: Apache-2.0
"""How much a project may be, so that any bytes are read within a bound of time and memory.

A text of a few bytes can ask for a billion: templates with loops, variables that hold each other twice, includes, links
that go in circles. Each bound is far above what a person writes, a project of five thousand services included, and each
is an error that names the file and the bound. Together they keep the reading of the worst project that we could think of
below 20 seconds of one core and 1 GiB; `tests/fuzz` holds the two together.
"""

# Files
MAX_SIZE = 4 * 1024 * 1024  # bytes of one file; a thousand services written out in full take 0.4 MiB
MAX_TOTAL = 16 * 1024 * 1024  # bytes of all files that are read for one project, `.env` and secrets among them
MAX_FILES = 1000
MAX_ASKED = 5000  # times that files are included, the same one again among them
MAX_INCLUDES = 20  # files that include each other, one inside the other; people write two
MAX_ENTRIES = 500_000  # files and folders that patterns look at; more than a repository with its node_modules
MAX_PATTERN = 4096  # characters; no path is longer on Linux

# Text
MAX_DEPTH = 64  # blocks inside blocks; the language needs four, and the parser recurses
MAX_WORDS = 300_000  # names, values and words of templates, counted once per stage; a thousand services hold 40,000
MAX_WORD = (
    1000  # characters of a word without quotes: the parser's time for a number grows with the square of its digits
)
MAX_NAME = 500  # characters of the name of a node or property; messages repeat it
MAX_LINE = (
    1000  # characters of a line that a problem carries with it; a thousand problems on a line of a megabyte do not
)

MAX_COMMAND = 128 * 1024  # characters; Linux starts nothing with a longer word

# Templates
MAX_OUTPUT = 4 * 1024 * 1024  # characters that one file puts out, marks included; a loop gone wrong stops here
MAX_TOKENS = 100_000  # Jinja's words in one file, six for `{{ NAME }}`; it takes two seconds to compile that many
MAX_WEIGHT = (
    1_000_000  # of what one rendering moves; a loop over a thousand services that reads ten names weighs 10,000
)
MAX_TEXT = 4 * 1024 * 1024  # characters that `replace` and `join` may make at once
MAX_NESTING = 50  # lists inside lists; Python itself crashes when it hashes some ten thousand
MAX_NUMBER = 2**63 - 1  # what the platforms' own integers hold
MAX_PRECISION = 20  # digits that `round` is asked for; a float has 17

# Variables
MAX_CHAIN = 50  # variables that need each other, one after the other
MAX_FILLED = 64 * 1024 * 1024  # characters of all values that one stage works out: `${NAME}`, `env_file`
VALUE = 64  # characters that a value counts beside its own: a place in a map
TEMPLATE = 4096  # characters that a variable counts whose value is a template: Jinja is slow to start
MAX_WRONG_LINES = 20  # of a `.env` file; with more it is no such file

MAX_PROBLEMS = 200  # that are told at once; who has more mends these first
