import { attempt, post } from "./page.js";

for (const choice of document.querySelectorAll("select[data-cell]")) {
  choice.addEventListener("change", () => attempt(async () => {
    const { open } = await post("/api/decide", { cell: Number(choice.dataset.cell), name: choice.value || null });
    document.getElementById("open-state").textContent = `Saved. ${open} still open.`;
  }));
}
