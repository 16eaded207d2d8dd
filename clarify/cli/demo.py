"""The command that runs the whole loop on drawn birds: `clarify demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify.assembly import open_project
from clarify.cli.decide import promotion, reason_text
from clarify.cli.loop import diagnosis, scored
from clarify.cli.shell import Commands, Shell, bar
from clarify.cli.words import percent, table

if TYPE_CHECKING:
    from clarify.workflow.model.project import Workspace
    from clarify.workflow.shows.demo import Story

__all__ = ["add_demo"]


def _demo(shell: Shell) -> None:
    """Run the whole loop on rendered birds."""
    from clarify.workflow.shows.demo import run_demo

    def opened(name: str) -> Workspace:
        return open_project(shell.settings, name, say=shell.say)

    story = run_demo(
        shell.settings.home,
        opened,
        seed=shell.args.seed,
        workers=shell.settings.workers,
        say=shell.say,
        bar=bar,
    )
    shell.answer(story.to_dict(), _story(story))
    if not shell.args.headless:
        from clarify.cli.dashboard import PORT, serve

        shell.say(f"the dashboard: http://localhost:{PORT} (Ctrl+C ends it)")
        serve(shell.settings)


def _story(found: Story) -> str:
    """Tell the demo's story from the first look to the promotion."""
    models = [found.base, found.misled, found.retrained, found.oracle]
    return "\n".join(
        [
            "",
            "1. Where does the model fail? (validation)",
            diagnosis(found.classes),
            "",
            "2. Phrases tried: the model is often wrong with images that have ___ in them",
            *(scored(each) for each in (*found.wrong, *found.kept)),
            "",
            "3. Retrained, on the test split",
            table(
                ["model", "average", "adj. average", "worst group"],
                [
                    [
                        each.model.name,
                        percent(each.evaluations["test"].average),
                        percent(each.evaluations["test"].adjusted_average),
                        percent(each.evaluations["test"].worst_group),
                    ]
                    for each in models
                ],
            ),
            "",
            "4. The gate",
            promotion(found.promotion),
            f"the model misled by {found.wrong[0].description.phrase!r}: "
            + ("passes" if found.wrong_verdict.passed else "refused"),
            *(reason_text(reason) for reason in found.wrong_verdict.reasons if not reason.passed),
            "",
            f"The pictures: {found.pictures}",
            f"Everything is in MLflow: {_opened(found.store)}",
            f"{found.seconds:.0f} seconds",
        ]
    )


def _opened(store: str) -> str:
    """Return how people open a tracking store: its page, or the command that serves one."""
    return store if store.startswith("http") else f"mlflow ui --backend-store-uri {store}"


def add_demo(commands: Commands) -> None:
    """Add ``demo``."""
    command = commands.add("demo", _demo, "demo --headless --home /tmp/birds", data_set=False)
    command.takes("--headless", "do not open the dashboard after it", flag=True)
    command.takes("--seed", "which birds are drawn (default: 0)", type=int, default=0)
