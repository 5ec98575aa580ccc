// Keys and buttons that say what cells are; what was said is saved in order, and nothing is lost if the server is away.

import { complain, post } from "./page.js";

export class Saying extends EventTarget {
  constructor() {
    super();
    this.waiting = []; // what is not sent yet: {said} or {turn}
    this.sent = 0;
    this.busy = false;
    addEventListener("pagehide", () => {
      for (const part of this.parts(this.waiting.slice(this.sent))) this.send(part).catch(() => {});
    });
    addEventListener("beforeunload", (leaving) => {
      if (this.lost) leaving.preventDefault();
    });
  }

  // said: {cell: name or null}
  say(said) {
    this.waiting.push({ said });
    this.work();
  }

  turn(way) {
    this.waiting.push({ turn: way });
    this.work();
  }

  // What can be sent together: labels that follow each other, or one undo or redo.
  parts(waiting) {
    const found = [];
    for (const one of waiting) {
      const last = found.at(-1);
      if (one.said && last?.actions) last.actions.push(one.said);
      else found.push(one.said ? { actions: [one.said] } : { turn: one.turn });
    }
    return found;
  }

  send(part) {
    return part.turn ? post(`/api/${part.turn}`) : post("/api/labels", part);
  }

  async work() {
    if (this.busy) return;
    this.busy = true;
    while (this.waiting.length) {
      const [part] = this.parts(this.waiting);
      this.sent = part.actions?.length ?? 1;
      try {
        const standing = await this.send(part);
        this.waiting.splice(0, this.sent);
        this.sent = 0;
        this.lost = false;
        complain("");
        this.dispatchEvent(new CustomEvent("standing", { detail: standing }));
      } catch (error) {
        if (error.status === 400 || error.status === 422) { // the server has refused it
          this.waiting.splice(0, this.sent);
          this.sent = 0;
          complain(error.message);
          continue;
        }
        this.sent = 0;
        this.lost = true;
        const why = error.status ? error.message : "the program does not answer. Start cellda app again with the same folder; this page waits, and then goes on.";
        complain(`${this.waiting.length} not saved yet: ${why}`);
        await new Promise((done) => setTimeout(done, 1000));
      }
    }
    this.busy = false;
    this.dispatchEvent(new Event("saved"));
  }
}

const places = document.querySelectorAll("#classes button");

// The name that a key means: undefined if none; null takes a label back.
export function meant(key) {
  if (key.ctrlKey || key.altKey || key.metaKey) return undefined;
  const letter = key.key.toLowerCase(), digit = /^(?:Digit|Numpad)([0-9])$/.exec(key.code)?.[1] ?? letter;
  if (digit === "0" || key.key === "Delete" || key.key === "Backspace") return null;
  for (const button of places) {
    if ((button.dataset.place && button.dataset.place === digit) || (button.dataset.key && button.dataset.key === letter)) return button.dataset.name || null;
  }
  return undefined;
}

// Whether keys are letters of a text there.
export function typing(place) {
  return Boolean(place.closest?.("input:not([type=checkbox], [type=range]), select, textarea"));
}

// Calls `said` with a name (or null) for every button and key, wherever the focus is, and `turned` for undo and redo.
export function listen(said, turned) {
  for (const button of places) button.addEventListener("click", () => said(button.dataset.name || null));
  document.getElementById("undo").addEventListener("click", () => turned("undo"));
  document.getElementById("redo").addEventListener("click", () => turned("redo"));
  document.addEventListener("keydown", (key) => {
    if (typing(key.target)) return;
    const name = meant(key), letter = key.key.toLowerCase();
    if (letter === "z" && !key.altKey) turned(key.shiftKey ? "redo" : "undo");
    else if (letter === "y" && !key.altKey) turned("redo");
    else if (name !== undefined) said(name);
    else return;
    key.preventDefault();
  });
}
