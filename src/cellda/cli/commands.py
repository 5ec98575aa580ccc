"""All commands of `cellda`."""

from cellda.cli.app import app
from cellda.cli.bench import bench
from cellda.cli.count import count
from cellda.cli.datasets import datasets_app
from cellda.cli.doctor import doctor
from cellda.cli.export import export
from cellda.cli.lists import list_
from cellda.cli.own import adapt
from cellda.cli.predict import predict
from cellda.cli.report import report
from cellda.cli.reports import figure, table
from cellda.cli.runs import ablate, run
from cellda.cli.screen import app_
from cellda.cli.store import store_app
from cellda.cli.study import study_app
from cellda.cli.suggest import suggest

__all__ = ["app"]

# In the order in which the help shows them.
app.command("app")(app_)
app.command()(run)
app.command()(suggest)
app.command()(adapt)
app.command()(predict)
app.command()(count)
app.command()(report)
app.command()(export)
app.command()(ablate)
app.command()(bench)
app.command(epilog="See `cellda list tables`.")(table)
app.command(epilog="See `cellda list figures`.")(figure)
app.command("list")(list_)
app.command()(doctor)
app.add_typer(datasets_app, name="datasets")
app.add_typer(study_app, name="study")
app.add_typer(store_app, name="store")
