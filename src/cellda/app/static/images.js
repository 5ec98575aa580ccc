import { get, on, post } from "./page.js";
import { Grid } from "./grid.js";

const field = document.getElementById("folder"), list = document.getElementById("folders");
const open = document.getElementById("open"), state = document.getElementById("folder-state");

async function look(at) {
  const found = await get(`/api/folders?at=${encodeURIComponent(at)}`);
  field.value = found.at;
  state.textContent = found.error;
  open.disabled = Boolean(found.error);
  const names = found.error ? [] : [["..", found.up], ...found.folders.map((name) => [name, `${found.at}/${name}`])];
  list.replaceChildren(...names.map(([name, place]) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.textContent = name === ".." ? "⬑ folder above" : name;
    button.addEventListener("click", () => look(place));
    item.append(button);
    return item;
  }));
  if (found.error) return;
  const { images, more } = await get(`/api/folder?at=${encodeURIComponent(found.at)}`);
  if (field.value !== found.at) return; // another folder was chosen meanwhile
  state.textContent = `${more ? `${images} or more` : images} images in this folder and those inside it.`;
  open.disabled = !images && !more;
}

on("folder-form", "submit", () => look(field.value));
on("open", "click", async () => {
  open.disabled = true;
  state.textContent = "Reading …";
  try {
    await post("/api/open", { folder: field.value });
    location.reload();
  } finally {
    open.disabled = false;
    state.textContent = "";
  }
});
on("read", "click", async () => {
  await post("/api/read");
  location.reload();
});

on("groups-form", "submit", async () => {
  const form = new FormData(), [file] = document.getElementById("groups").files;
  if (!file) throw new Error("Choose a table first.");
  form.set("file", file);
  document.getElementById("groups-state").textContent = `${(await post("/api/groups", form)).taken} images have a group from this table.`;
});

const place = document.getElementById("cells");
if (place) {
  const grid = new Grid(place);
  get(place.dataset.url).then((cells) => grid.show(cells.map((one) => ({ ...one, text: one.label || one.group }))));
} else look(field.value);
