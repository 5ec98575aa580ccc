import { attempt, begin, ended, follow, get, on, told } from "./page.js";
import { Grid } from "./grid.js";
import { Saying, listen } from "./saying.js";

const by = (id) => document.getElementById(id);

for (const kind of ["predict", "report"]) {
  on(kind, "click", async () => {
    await begin(kind);
    const last = await follow((job) => { by(`${kind}-state`).textContent = told(job); });
    by(`${kind}-state`).textContent = "";
    ended(last);
    if (last.stage === "done") location.reload();
  });
}

if (by("cells")) start();

function text(cell) {
  if (cell.label) return `${cell.label} (labelled)`;
  if (cell.reason) return "cannot be read";
  const sure = cell.confidence === null ? "" : ` ${Math.round(100 * cell.confidence)} %`;
  return `${cell.said || "no class"}${sure}${cell.flag ? ` ⚑ ${cell.flag}` : ""}`;
}

async function start() {
  const grid = new Grid(by("cells")), saying = new Saying();
  const found = await attempt(() => get("/api/results"));
  if (!found) return;
  const { cells } = found;
  let changes = 0;
  for (const cell of cells) cell.text = text(cell);
  fill("f-flag", new Set(cells.flatMap((one) => one.flag.split("+").filter(Boolean))));
  fill("f-group", new Set(cells.map((one) => one.group).filter(Boolean)));
  filter();
  by("cells").focus({ preventScroll: true });

  function fill(id, names) {
    for (const name of [...names].sort()) by(id).append(Object.assign(document.createElement("option"), { textContent: name }));
  }

  function filter() {
    const [klass, flag, group, label] = ["f-class", "f-flag", "f-group", "f-label"].map((id) => by(id).value);
    const sure = Number(by("f-sure").value) / 100;
    by("f-sure-value").textContent = `${by("f-sure").value} %`;
    const shown = cells.filter((one) => {
      const name = one.label || one.said;
      return (!klass || (klass === "-" ? !one.said : name === klass))
        && (!flag || (flag === "-" ? !one.flag : one.flag.split("+").includes(flag)))
        && (!group || one.group === group || one.group.startsWith(`${group}/`))
        && (!label || (label === "no" && !one.label) || (label === "yes" && one.label) || (label === "changed" && one.label && one.label !== one.said))
        && (one.confidence === null || one.confidence <= sure);
    });
    grid.show(shown);
    by("standing").textContent = `${shown.length} of ${cells.length} cells, the least sure first.`;
  }

  function said(name) {
    const some = grid.meant;
    if (!some.length) return;
    for (const one of some) { one.label = name ?? ""; one.text = text(one); }
    saying.say(Object.fromEntries(some.map((one) => [one.id, name])));
    changes += some.length;
    by("changes").textContent = `${changes} changed since this page was opened.`;
    if (some.length === 1 && name !== null) grid.go(grid.at + 1);
    else grid.refresh();
  }

  saying.addEventListener("standing", ({ detail }) => {
    for (const [id, name] of Object.entries(detail.changed ?? {})) {
      const cell = cells.find((one) => one.id === Number(id));
      if (cell) { cell.label = name; cell.text = text(cell); }
    }
    const open = Object.entries(detail.disagree ?? {});
    for (const [id, others] of open) {
      const cell = cells.find((one) => one.id === Number(id));
      if (cell) cell.text = `${cell.label}; ${others}`;
    }
    if (open.length) by("changes").textContent = `Somebody else says otherwise of ${open.length} of these cells (${open[0][1]}): your label counts when that is decided under “Compare two people's labels”, in the step Label.`;
    grid.refresh();
  });
  for (const id of ["f-class", "f-flag", "f-group", "f-label", "f-sure"]) by(id).addEventListener("input", filter);
  by("filters").addEventListener("submit", (given) => given.preventDefault());
  listen(said, (way) => saying.turn(way));
}
