import { attempt, begin, ended, follow, get, on, picture as address, post, told } from "./page.js";
import { Grid } from "./grid.js";
import { Saying, listen, typing } from "./saying.js";

const by = (id) => document.getElementById(id);
const PRELOADED = 12;

on("suggest-form", "submit", async () => {
  await begin("suggest", { number: Number(by("number").value), suggester: by("how").value });
  await choosing();
});
if (by("suggest-form")) get("/api/job").then(({ job }) => { if (job?.running && job.kind === "suggest") attempt(choosing); });

async function choosing() {
  const button = by("suggest-form").querySelector("button");
  button.disabled = true;
  const last = await follow((job) => { by("suggest-state").textContent = told(job); });
  by("suggest-state").textContent = "";
  button.disabled = false;
  ended(last);
  if (last.stage === "done") location.reload();
}

on("import-form", "submit", async () => {
  const form = new FormData(), [file] = by("table").files;
  if (!file) throw new Error("Choose a table first.");
  form.set("file", file);
  const found = await post("/api/import", form);
  by("import-state").textContent = `${found.taken} labels were read. ${found.account.join(" ")}`;
});
on("import-folder-form", "submit", async () => {
  const found = await post("/api/import-folder", { folder: by("labelled").value });
  by("import-state").textContent = `${found.taken} labels were read. ${found.account.join(" ")}`;
});
on("keys-form", "submit", async () => {
  const keys = Object.fromEntries(new FormData(by("keys-form")));
  await post("/api/keys", { keys });
  location.reload();
});

if (by("cells") && !by("work").hidden) start();

async function start() {
  const grid = new Grid(by("cells")), saying = new Saying();
  const ahead = new Map();
  let cells = [], single = true, whole = false, hint = false;

  const found = await attempt(() => get("/api/label"));
  if (!found) return;
  cells = found.cells;
  const first = cells.findIndex((one) => !one.label);
  grid.show(cells);
  show(found);
  grid.go(first < 0 ? 0 : first);
  look();
  by("one").focus({ preventScroll: true });

  function show(standing) {
    const numbers = Object.entries(standing.counts), least = Math.min(...numbers.map(([, number]) => number));
    by("counts").replaceChildren(...numbers.map(([name, number], place) => {
      const item = document.createElement("li"), dot = document.createElement("span");
      dot.className = `dot c${place + 1}`;
      item.append(dot, `${name} ${number}`);
      if (number === least && least < 5) {
        const rare = document.createElement("em");
        rare.textContent = number ? " rare" : " none yet";
        item.append(rare);
      }
      return item;
    }));
    const said = cells.filter((one) => one.label).length;
    by("standing").textContent = `${said} of ${cells.length} labelled${saying.waiting.length ? "" : ", saved"}.`;
  }

  function pictured(cell) {
    return address(whole ? "whole" : "large", cell.id);
  }

  // The picture of a cell, loaded before it is needed.
  function loaded(cell) {
    const where = pictured(cell);
    let image = ahead.get(where);
    if (!image) {
      image = new Image();
      image.src = where;
      ahead.set(where, image);
      if (ahead.size > 4 * PRELOADED) ahead.delete(ahead.keys().next().value);
    }
    return image;
  }

  function look() {
    const cell = grid.current;
    if (!cell) return;
    by("look").src = loaded(cell).src;
    by("look").alt = `cell ${grid.at + 1}`;
    by("look").classList.toggle("whole", whole);
    by("where").textContent = `${grid.at + 1} of ${cells.length}`;
    by("name").textContent = cell.name;
    by("said").textContent = cell.label;
    by("guess").textContent = hint ? `model: ${cell.guess}` : "";
    by("note").value = cell.note;
    for (const next of grid.items.slice(grid.at + 1, grid.at + 1 + PRELOADED)) loaded(next);
  }

  function said(name) {
    const some = single ? [grid.current] : grid.meant;
    if (!some[0]) return;
    for (const one of some) one.label = name ?? "";
    saying.say(Object.fromEntries(some.map((one) => [one.id, name])));
    if (single && name !== null) {
      const after = grid.items.findIndex((one, place) => place > grid.at && !one.label);
      grid.go(after < 0 ? Math.min(grid.at + 1, cells.length - 1) : after);
    } else if (!single && some.length === 1 && name !== null) grid.go(grid.at + 1);
    else grid.refresh();
    look();
  }

  function turned(way) {
    saying.turn(way);
  }

  saying.addEventListener("standing", ({ detail }) => {
    if (detail.changed) {
      const places = grid.items.map((one) => one.id);
      for (const [id, name] of Object.entries(detail.changed)) {
        const cell = cells.find((one) => one.id === Number(id));
        if (cell) cell.label = name;
      }
      const [one] = Object.keys(detail.changed);
      if (one && places.includes(Number(one))) grid.go(places.indexOf(Number(one)));
      grid.refresh();
      look();
    }
    show(detail);
  });
  saying.addEventListener("saved", () => { by("standing").textContent = by("standing").textContent.replace(/(, saved)?\.$/, ", saved."); });

  // One by one, the most useful cells come first; in the grid, similar ones stand together.
  function arrange() {
    const { id } = grid.current ?? {}, alike = !single && by("alike").checked;
    grid.show([...cells].sort((a, b) => (alike ? a.similar - b.similar : 0)));
    grid.go(Math.max(0, grid.items.findIndex((one) => one.id === id)));
  }

  function view(one) {
    single = one;
    arrange();
    by("one").hidden = !one;
    by("cells").hidden = one;
    by("single").setAttribute("aria-pressed", String(one));
    by("many").setAttribute("aria-pressed", String(!one));
    if (one) look();
    else { grid.draw(true); grid.seen(); }
    by(one ? "one" : "cells").focus({ preventScroll: true });
  }

  function toggled(id, value) {
    by(id).setAttribute("aria-pressed", String(value));
    look();
  }

  listen(said, turned);
  grid.addEventListener("moved", () => {
    if (hint) { hint = false; by("hint").setAttribute("aria-pressed", "false"); } // asked for one cell
    look();
  });
  by("single").addEventListener("click", () => view(true));
  by("many").addEventListener("click", () => view(false));
  by("back").addEventListener("click", () => grid.go(grid.at - 1));
  by("next").addEventListener("click", () => grid.go(grid.at + 1));
  by("whole").addEventListener("click", () => { whole = !whole; toggled("whole", whole); });
  by("hint").addEventListener("click", () => { hint = !hint; toggled("hint", hint); });
  by("alike").addEventListener("change", arrange);
  async function keep() {
    const cell = grid.current, text = by("note").value;
    if (text.trim() !== cell.note) cell.note = (await post("/api/note", { cell: cell.id, text })).saved;
  }
  on("note", "change", keep); // also when a click elsewhere leaves the field
  on("note-form", "submit", async () => {
    await keep();
    by(single ? "one" : "cells").focus();
  });
  document.addEventListener("keydown", (key) => {
    if (typing(key.target) || key.ctrlKey || key.altKey || key.metaKey) return;
    const letter = key.key.toLowerCase();
    if (key.key === "Enter") { if (key.target.closest("button, a, summary")) return; view(!single); }
    else if (letter === "w") by("whole").click();
    else if (letter === "g") by("hint").click();
    else if (letter === "m") by("note").focus();
    else if (single && key.key === "ArrowLeft") grid.go(grid.at - 1);
    else if (single && key.key === "ArrowRight") grid.go(grid.at + 1);
    else return;
    key.preventDefault();
  });
}
