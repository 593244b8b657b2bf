"""The generated pages are what the code and the pages say now."""

from tests.docs import found, pages, reference
from tests.docs.pages import ROOT
from tests.server import Server


def test_the_reference_is_what_the_code_says(shipped: Server) -> None:
    for file, text in reference.texts(shipped).items():
        assert file.read_text() == text, f"{file.name}: write it anew: python -m tests.docs.reference"


def test_the_index_and_the_list_for_programs_have_every_page() -> None:
    found_pages = {page.relative_to(ROOT) for page in (ROOT / "docs").rglob("*.md")}
    # What a former version changed is no page that anybody looks for.
    written = {page for page in found_pages if "history" not in page.parts} - {reference.INDEX}
    for list_, folder in ((ROOT / "llms.txt", ROOT), (ROOT / reference.INDEX, ROOT / "docs")):
        linked = {(folder / link).relative_to(ROOT) for link in pages.links(list_.read_text())}
        assert linked == written


def test_messages_of_errors_and_levels_of_events_are_found() -> None:
    assert all(refusal.when for refusal in found.refusals() if refusal.code == "voice_not_available")
    assert {line.level for line in found.logged()} == {"info", "warning", "error"}


def test_events_to_act_on_exist() -> None:
    """docs/monitoring.md, "Logs": what to do about an event."""
    table = pages.rows(pages.section(pages.doc("monitoring.md"), "Logs"))
    named = {code for row in table for code in pages.codes(row[0])} - {"confinement"}
    assert named <= {line.event for line in found.logged()}


def test_metrics_to_alert_on_exist(shipped: Server) -> None:
    served = reference.metric_names(shipped)
    alerts = pages.rows(pages.section(pages.doc("monitoring.md"), "Alerts"))
    named = {code for row in alerts for code in pages.codes(row[0]) if code.startswith("voxgate_")}
    assert named
    assert named <= served
