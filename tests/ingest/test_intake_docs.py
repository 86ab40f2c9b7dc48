"""The page on the intake names every reason for which bytes are refused."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RAISED = re.compile(r'(?:Undecodable|_Wrong|Reject|Quarantined)\(\s*"(\w+)"')


def test_every_reason_of_the_code_stands_in_the_page():
    files = [*ROOT.glob("ingest/*.py"), *ROOT.glob("ingest/codecs/*.py")]
    reasons = {reason for path in files for reason in RAISED.findall(path.read_text())}
    reasons |= set(re.findall(r'_refuse\(\w+, "(\w+)"', (ROOT / "ingest/admission.py").read_text()))
    assert len(reasons) > 20
    page = (ROOT / "docs" / "intake.md").read_text()
    assert sorted(r for r in reasons if f"`{r}`" not in page) == []
