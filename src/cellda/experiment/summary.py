"""What the summary of a run says, in lines, before its measures."""

from cellda.data.draw_account import few_labels, shortfall
from cellda.datasets.reading.account import NO_GROUPS
from cellda.experiment.record import RunRecord
from cellda.experiment.statement import told
from cellda.text import agreeing, counted


def summary(record: RunRecord, cells: int) -> list[str]:
    """The lines of a run that predicted so many cells."""
    lines = [
        f"{record.condition} on {record.target}, draw {record.draw}, protocol {record.protocol}, run {record.digest}",
        f"{counted(record.labels_used, 'target label(s)')} used; {counted(cells, 'query image(s)')}",
    ]
    if record.unsupported:
        lines.append(f"classes without a support image: {', '.join(record.unsupported)}")
    if record.untested:
        lines.append(f"classes without an image to measure: {', '.join(record.untested)}")
    if record.labels_used and record.n is not None:
        lines += shortfall(record.taken, record.n, cells)
        lines += few_labels({one.name: one.taken for one in record.taken})
    for account in record.accounts:
        if account.used < account.found:
            lines.append(
                f"{account.used:,} of {counted(account.found, 'cell(s)')} of {account.name} "
                f"{agreeing(account.used, '(is|are)')} used (record.json: accounts)"
            )
        if account.without_groups and account.name == record.target:
            lines.append(NO_GROUPS)
    if record.known_to_model is None:
        lines.append("it is not known whether the source model was trained on cells of the target")
    elif record.known_to_model:
        lines.append(f"optimistic: the source model has seen cells of {', '.join(record.known_to_model)}")
    for name, framed in record.framed.items():
        lines += framed.lines(name)
    lines += told(record.present, record.contradicting, cells, record.target)
    if record.departure is not None:
        lines += record.departure.lines()
    for name, count in record.twins.items():
        done = f"{agreeing(count, '(was|were)')} {'left out' if record.recipe.get('twins') == 'drop' else 'used'}"
        lines.append(f"{counted(count, 'cell(s)')} of {name} with copies under different classes {done}")
    return lines
