"""A plugin of pytest that ends `make proof` with tables: mistakes found, false alarms, fuzz."""

import collections


def pytest_terminal_summary(terminalreporter):
    found, planted, seeds, alarms, refused, strings = [collections.Counter() for _ in range(6)]
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, value in report.user_properties:
                    if name == "mutant":
                        planted[value[0]] += 1
                        found[value[0]] += value[1]
                    elif name == "layer":
                        seeds[value[0]] += value[1]
                        alarms[value[0]] += value[2]
                    elif name == "fuzz":
                        strings[value[0]] += value[1] + value[2]
                        refused[value[0]] += value[2]
    for title, left, right in (
        ("mistakes found / planted, on both engines", found, planted),
        ("false alarms / seeds, on both engines", alarms, seeds),
        ("param_str refused with a ValueError / given, the rest taken", refused, strings),
    ):
        if right:
            terminalreporter.section(title)
            for name in [*sorted(right), "all"]:
                counts = [c[name] if name in right else sum(c.values()) for c in (left, right)]
                terminalreporter.write_line(f"{name:<50} {counts[0]:>6} / {counts[1]}")
