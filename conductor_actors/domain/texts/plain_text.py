"""Which texts of people are plain: all pages and programs show them as they are, in one line."""

import re
from typing import Final

# Control characters, lone surrogates, separators of lines, and what reverses the text around it.
NOT_PLAIN: Final = re.compile(
    "[\0-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
