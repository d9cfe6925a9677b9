"""A plugin of pytest that ends `make test` and `make proof` with tables of what was counted.

A test says record_property("count", [table, row, part, whole]); rows of one name are added up.
"""

import collections

TABLES = {
    "answers": "bad answers refused / given, by way in",
    "layers": "layers of drawn answers that work / drawn",
    "param_str": "param_str refused with a ValueError / given, the rest taken",
    "mistakes": "mistakes found / planted, on both engines",
    "signals": "whole layers or nothing left / signals sent into make new, by what came of it",
    "alarms": "false alarms / seeds, on both engines",
}


def pytest_terminal_summary(terminalreporter):
    tables = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0]))
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, value in report.user_properties:
                    if name == "count":
                        table, row, part, whole = value
                        for key in (row, "all"):
                            tables[table][key][0] += part
                            tables[table][key][1] += whole
    for table in [table for table in TABLES if table in tables]:
        terminalreporter.section(TABLES[table])
        for row, (part, whole) in sorted(
            tables[table].items(), key=lambda item: item[0] == "all"
        ):
            terminalreporter.write_line(f"{row:<50} {part:>6} / {whole}")
