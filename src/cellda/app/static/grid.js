// A grid of thousands of cells: only the rows in view are in the page; one cell has the focus, several may be chosen.

import { picture } from "./page.js";

const SIDE = 128; // of a place, with its line of text below
const TEXT = 36;
const AHEAD = 2; // screens that are drawn before they are seen

export class Grid extends EventTarget {
  constructor(place) {
    super();
    this.place = place;
    this.items = [];
    this.at = 0;
    this.anchor = 0;
    this.chosen = new Set();
    this.drawn = new Map();
    this.inner = document.createElement("div");
    this.inner.className = "cells";
    place.append(this.inner);
    place.setAttribute("role", "listbox");
    place.setAttribute("aria-multiselectable", "true");
    place.setAttribute("aria-label", "Cells");
    place.tabIndex = 0;
    place.addEventListener("scroll", () => this.draw(), { passive: true });
    place.addEventListener("keydown", (key) => this.moved(key));
    place.addEventListener("click", (click) => this.clicked(click));
    new ResizeObserver(() => this.draw(true)).observe(place);
  }

  // items: {id, name, label, text, alt}
  show(items) {
    this.items = items;
    this.at = Math.min(this.at, Math.max(0, items.length - 1));
    this.chosen = new Set();
    this.draw(true);
  }

  get columns() {
    return Math.max(1, Math.floor(this.inner.clientWidth / SIDE));
  }

  get current() {
    return this.items[this.at];
  }

  // The cells that a key concerns: the chosen ones, or the one with the focus.
  get meant() {
    const some = this.items.filter((one) => this.chosen.has(one.id));
    return some.length ? some : this.current ? [this.current] : [];
  }

  draw(anew = false) {
    if (this.place.hidden) return;
    const high = SIDE + TEXT, columns = this.columns, rows = Math.ceil(this.items.length / columns);
    this.inner.style.height = `${rows * high}px`;
    const view = this.place.clientHeight;
    const first = Math.max(0, Math.floor((this.place.scrollTop - AHEAD * view) / high)) * columns;
    const last = Math.min(this.items.length, Math.ceil((this.place.scrollTop + (1 + AHEAD) * view) / high) * columns);
    for (const [place, node] of this.drawn) {
      if (anew || place < first || place >= last) {
        node.remove();
        this.drawn.delete(place);
      }
    }
    const added = document.createDocumentFragment();
    for (let place = first; place < last; place += 1) {
      if (!this.drawn.has(place)) {
        const node = this.cell(place);
        node.firstElementChild.fetchPriority = this.inView(place, high, columns) ? "high" : "low"; // what is seen comes first
        node.style.transform = `translate(${(place % columns) * SIDE}px, ${Math.floor(place / columns) * high}px)`;
        this.drawn.set(place, node);
        added.append(node);
      }
    }
    this.inner.append(added);
    this.place.setAttribute("aria-activedescendant", this.drawn.has(this.at) ? `cell-${this.at}` : "");
  }

  inView(place, high, columns) {
    const top = Math.floor(place / columns) * high - this.place.scrollTop;
    return top > -high && top < this.place.clientHeight;
  }

  cell(place) {
    const item = this.items[place], node = document.createElement("div");
    node.id = `cell-${place}`;
    node.className = "cell";
    node.title = item.name;
    node.dataset.place = place;
    node.setAttribute("role", "option");
    node.setAttribute("aria-setsize", this.items.length);
    node.setAttribute("aria-posinset", place + 1);
    const look = document.createElement("img");
    look.width = look.height = 112;
    look.alt = "";
    look.decoding = "async";
    look.src = picture(this.place.dataset.kind, item.id);
    look.addEventListener("error", () => { look.replaceWith(lost()); });
    node.append(look, document.createElement("span"));
    this.describe(node, item, place);
    return node;
  }

  describe(node, item, place) {
    node.setAttribute("aria-selected", this.chosen.has(item.id) ? "true" : "false");
    node.classList.toggle("at", place === this.at);
    node.classList.toggle("chosen", this.chosen.has(item.id));
    node.classList.toggle("labelled", Boolean(item.label));
    const text = node.lastElementChild;
    text.textContent = item.text ?? item.label ?? "";
    node.setAttribute("aria-label", `Cell ${place + 1}, ${item.text || item.label || "no label"}, ${item.name}`);
  }

  // Says again what is known of the cells in view.
  refresh() {
    for (const [place, node] of this.drawn) this.describe(node, this.items[place], place);
    this.place.setAttribute("aria-activedescendant", this.drawn.has(this.at) ? `cell-${this.at}` : "");
  }

  go(place, { extend = false, keep = false } = {}) {
    if (!this.items.length) return;
    this.at = Math.max(0, Math.min(place, this.items.length - 1));
    if (extend) {
      const [from, to] = [Math.min(this.anchor, this.at), Math.max(this.anchor, this.at)];
      this.chosen = new Set(this.items.slice(from, to + 1).map((one) => one.id));
    } else {
      this.anchor = this.at;
      if (!keep) this.chosen = new Set();
    }
    this.seen();
    this.refresh();
    this.dispatchEvent(new Event("moved"));
  }

  seen() {
    const high = SIDE + TEXT, top = Math.floor(this.at / this.columns) * high, view = this.place.clientHeight;
    if (top < this.place.scrollTop) this.place.scrollTop = top;
    else if (top + high > this.place.scrollTop + view) this.place.scrollTop = top + high - view;
    this.draw();
  }

  moved(key) {
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -this.columns * Math.max(1, Math.floor(this.place.clientHeight / (SIDE + TEXT))),
      PageDown: this.columns * Math.max(1, Math.floor(this.place.clientHeight / (SIDE + TEXT))),
    };
    if (key.key in steps && !key.ctrlKey && !key.altKey && !key.metaKey) this.go(this.at + steps[key.key], { extend: key.shiftKey });
    else if (key.key === "Home") this.go(0, { extend: key.shiftKey });
    else if (key.key === "End") this.go(this.items.length - 1, { extend: key.shiftKey });
    else if (key.key === " ") this.toggle(this.at);
    else if (key.key === "Escape" && this.chosen.size) { this.chosen = new Set(); this.refresh(); }
    else if (key.key.toLowerCase() === "a" && (key.ctrlKey || key.metaKey)) { this.chosen = new Set(this.items.map((one) => one.id)); this.refresh(); }
    else return;
    key.preventDefault();
    key.stopPropagation();
  }

  toggle(place) {
    const { id } = this.items[place];
    if (!this.chosen.delete(id)) this.chosen.add(id);
    this.refresh();
  }

  clicked(click) {
    const node = click.target.closest(".cell");
    if (!node) return;
    const place = Number(node.dataset.place);
    if (click.ctrlKey || click.metaKey) { this.go(place, { keep: true }); this.toggle(place); }
    else this.go(place, { extend: click.shiftKey });
    this.place.focus({ preventScroll: true });
  }
}

function lost() {
  const node = document.createElement("div");
  node.className = "lost";
  node.textContent = "cannot be shown";
  return node;
}
