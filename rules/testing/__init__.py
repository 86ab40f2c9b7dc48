"""Unit tests of alarm rules: a small invented journal in, the alarms it must give out.

``files.read_suites`` reads test files, ``cases.cases_of`` makes them ready, ``run.run`` plays one
through the engine itself and judges what came of it. Nothing here knows a clock or a terminal;
docs/rules.md, "Testing rules", is the format.
"""
