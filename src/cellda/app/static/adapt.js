import { attempt, begin, duration, ended, follow, get, on, post } from "./page.js";

const by = (id) => document.getElementById(id);

function show(job) {
  by("job").hidden = false;
  by("doing").textContent = `${job.doing || "starting"}${job.total ? ` (${job.done} of ${job.total})` : ""}, for ${duration(job.seconds)} so far`;
  const bar = by("progress");
  if (job.total) { bar.max = job.total; bar.value = job.done; } else bar.removeAttribute("value");
  by("estimate").textContent = job.said.find((one) => one.startsWith("Estimated")) ?? "";
  const lines = by("said");
  if (lines.childElementCount !== job.said.length) {
    lines.replaceChildren(...job.said.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  }
}

async function watch() {
  const last = await follow(show);
  by("job").hidden = true;
  if (last.stage === "done") location.reload();
  else { ended(last); by("adapt").disabled = false; }
}

on("adapt", "click", async () => {
  by("adapt").disabled = true;
  try { await begin("adapt"); } catch (error) { by("adapt").disabled = false; throw error; }
  await watch();
});
on("cancel", "click", () => post("/api/job/cancel"));
for (const button of document.querySelectorAll("button[data-model]")) {
  button.addEventListener("click", () => attempt(async () => {
    await post(`/api/models/${button.dataset.model}/choose`);
    location.reload();
  }));
}
if (by("adapt")) get("/api/job").then(({ job }) => {
  if (job?.kind !== "adapt") return;
  if (job.running) attempt(watch);
  else if (job.stage !== "cancelled") ended(job); // it may have been lost while nobody looked
});
